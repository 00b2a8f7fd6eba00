// Of several runs: the neighbours of a clicked image in each, and where each puts it.
(() => {
  const shared = JSON.parse(document.getElementById("data").textContent).shared;
  if (!shared) return;
  const find = (id) => document.getElementById(id);
  const dock = find("dock");
  let [chosen, opener] = [-1, null];
  const className = (image) => shared.classes[shared.labels[image]] ?? "";

  const place = (element, image) => {
    element.style.setProperty("--x", image % shared.columns);
    element.style.setProperty("--y", Math.floor(image / shared.columns));
  };

  const neighbour = (image, cosine) => {
    const known = shared.labels[chosen] >= 0 && shared.labels[image] >= 0;
    const same = known && shared.labels[chosen] === shared.labels[image];
    const figure = document.createElement("figure");
    figure.className = `mark ${known ? (same ? "same" : "other") : "plain"}`;
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "thumb", title: shared.names[image] });
    button.dataset.image = image;
    button.setAttribute("aria-label", [shared.names[image], className(image)].join(" "));
    place(button, image);
    const caption = document.createElement("figcaption");
    caption.textContent = `${known ? (same ? "✓ " : "✕ ") : ""}${(cosine / 100).toFixed(2)}`;
    figure.append(button, caption);
    return figure;
  };

  const answer = ([letter, run]) => {
    const row = document.createElement("div");
    const name = document.createElement("span");
    const near = document.createElement("div");
    [row.className, name.className, near.className] = ["answer", "letter", "near"];
    name.textContent = letter;
    near.append(...run.near[chosen].map((other, i) => neighbour(other, run.cosines[chosen][i])));
    row.append(name, near);
    return row;
  };

  // Rings on the maps show where an image is: the one under the pointer, else the chosen one.
  const maps = [...document.querySelectorAll("svg[data-map]")];
  const ring = (image) => {
    for (const map of maps) {
      const mark = map.querySelector(".ring");
      const [x, y] = shared.runs[map.dataset.map].points[image] ?? [0, 0];
      mark.setAttribute("transform", `translate(${shared.side * x} ${-shared.side * y})`);
      mark.classList.toggle("on", image >= 0);
    }
  };

  const choose = (image, byKeyboard) => {
    if (chosen < 0) opener = document.activeElement;
    chosen = image;
    place(find("dock-thumb"), image);
    find("dock-class").textContent = className(image);
    find("dock-name").textContent = shared.names[image];
    find("dock-near").replaceChildren(...Object.entries(shared.runs).map(answer));
    dock.hidden = false;
    document.body.classList.add("docked");
    if (byKeyboard) find("dock-near").querySelector("button")?.focus();
    ring(image);
  };

  const close = () => {
    if (chosen < 0) return;
    chosen = -1;
    dock.hidden = true;
    document.body.classList.remove("docked");
    if (opener?.isConnected) opener.focus({ preventScroll: true });
    ring(-1);
  };

  const under = (map, event) => {
    const box = map.viewBox.baseVal;
    const { left, top, width, height } = map.getBoundingClientRect();
    const unit = Math.min(width / box.width, height / box.height);
    const x = (event.clientX - left - width / 2) / unit + box.x + box.width / 2;
    const y = (event.clientY - top - height / 2) / unit + box.y + box.height / 2;
    const far = ([px, py]) => Math.hypot(shared.side * px - x, -shared.side * py - y);
    const { points } = shared.runs[map.dataset.map];
    return points.reduce((best, point, image) => (far(point) < far(points[best]) ? image : best), 0);
  };
  for (const map of maps) {
    const caption = map.parentElement.querySelector("output");
    map.addEventListener("pointermove", (event) => {
      const image = under(map, event);
      caption.textContent = [className(image), shared.names[image]].filter(Boolean).join(" · ");
      ring(image);
    });
    map.addEventListener("pointerleave", () => {
      caption.textContent = "";
      ring(chosen);
    });
    map.addEventListener("click", (event) => choose(under(map, event), false));
  }

  document.addEventListener("click", (event) => {
    const thumb = event.target.closest?.("[data-image]");
    if (thumb) choose(Number(thumb.dataset.image), event.detail === 0);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  find("dock-close").addEventListener("click", close);
})();
