"use strict";
// The report's script: values under the pointer, neighbours of a clicked image, the map. The page reads without it.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);

  // Charts: the value under the pointer takes the place of the last value.
  for (const svg of document.querySelectorAll("svg[data-chart]")) {
    const points = data.charts[svg.dataset.chart];
    const trail = "trail" in svg.dataset;
    const output = svg.parentElement.querySelector("output");
    const last = output.textContent;
    const hover = svg.querySelector(".hover");
    const [line, dot] = hover.children;
    line.style.display = trail ? "none" : "";
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      const far = (point) => Math.abs(point[0] - x) + (trail ? Math.abs(point[1] - y) : 0);
      const near = points.reduce((best, point) => (far(point) < far(best) ? point : best));
      line.setAttribute("transform", `translate(${near[0]} 0)`);
      dot.setAttribute("transform", `translate(${near[0]} ${near[1]})`);
      hover.classList.add("on");
      output.textContent = near[2];
    });
    svg.addEventListener("pointerleave", () => {
      hover.classList.remove("on");
      output.textContent = last;
    });
  }

  const gallery = data.gallery;
  if (!gallery) return;
  const className = (image) => (gallery.labels[image] < 0 ? "" : gallery.classes[gallery.labels[image]]);

  const cell = (image) => [image % gallery.columns, Math.floor(image / gallery.columns)];
  const place = (element, image) => cell(image).forEach((at, axis) => element.style.setProperty(["--x", "--y"][axis], at));

  // The dock: a chosen image and its neighbours, each of which can be chosen in turn.
  const dock = find("dock");
  let [chosen, opener, chose] = [-1, null, () => {}]; // the map listens to chose()

  const neighbour = (image, cosine) => {
    const known = gallery.labels[chosen] >= 0 && gallery.labels[image] >= 0;
    const same = known && gallery.labels[chosen] === gallery.labels[image];
    const figure = document.createElement("figure");
    figure.className = `mark ${known ? (same ? "same" : "other") : "plain"}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "thumb";
    button.dataset.image = image;
    button.title = gallery.names[image];
    button.setAttribute("aria-label", [gallery.names[image], className(image)].join(" "));
    place(button, image);
    const caption = document.createElement("figcaption");
    caption.textContent = `${known ? (same ? "✓ " : "✕ ") : ""}${cosine}${known && !same ? ` ${className(image)}` : ""}`;
    figure.append(button, caption);
    return figure;
  };

  const choose = (image, byKeyboard) => {
    if (chosen < 0) opener = document.activeElement;
    chosen = image;
    place(find("dock-thumb"), image);
    find("dock-class").textContent = className(image);
    find("dock-name").textContent = gallery.names[image];
    find("dock-near").replaceChildren(...gallery.near[image].map((other, i) => neighbour(other, gallery.cosines[image][i])));
    find("dock-near").scrollLeft = 0;
    dock.hidden = false;
    document.body.classList.add("docked");
    if (byKeyboard) find("dock-near").querySelector("button")?.focus();
    chose();
  };

  const close = () => {
    if (chosen < 0) return;
    chosen = -1;
    dock.hidden = true;
    document.body.classList.remove("docked");
    if (opener?.isConnected) opener.focus({ preventScroll: true });
    chose();
  };

  document.addEventListener("click", (event) => {
    const thumb = event.target.closest?.("[data-image]");
    if (thumb) choose(Number(thumb.dataset.image), event.detail === 0);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  find("dock-close").addEventListener("click", close);

  // The map: a thumbnail where there is room, else a dot; more thumbnails appear on zooming in.
  if (!gallery.points) return;
  const canvas = find("map-canvas");
  const frame = find("map-frame");
  const card = find("map-card");
  const pen = canvas.getContext("2d");
  const points = gallery.points;
  const ranges = [0, 1].map((axis) => [Math.min, Math.max].map((end) => end(...points.map((each) => each[axis]))));
  const [spanX, spanY] = ranges.map(([low, high]) => Math.max(high - low, 1e-6));
  const [middleX, middleY] = ranges.map(([low, high]) => (low + high) / 2);
  const used = [...new Set(gallery.labels)].filter((label) => label >= 0);
  const TILE = 34;
  const view = { zoom: 1, x: middleX, y: middleY };
  let [onlyLabel, hovered, places] = [-1, -1, []];
  const sheet = new Image();

  const project = () => {
    const { width, height } = frame.getBoundingClientRect();
    const unit = Math.min((width - 56) / spanX, (height - 56) / spanY) * view.zoom;
    places = points.map(([x, y]) => [width / 2 + (x - view.x) * unit, height / 2 - (y - view.y) * unit]);
    return { width, height, unit };
  };

  const tile = (image, side, colour) => {
    const [x, y] = places[image];
    const from = gallery.side;
    const [column, row] = cell(image);
    pen.fillStyle = colour;
    pen.fillRect(x - side / 2 - 2, y - side / 2 - 2, side + 4, side + 4);
    pen.drawImage(sheet, column * from, row * from, from, from, x - side / 2, y - side / 2, side, side);
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = project();
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) }); // clears it, too
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(`--${name}`).trim();
    const [ink, ground, unknown] = ["ink", "panel", "cx"].map(named);
    const hues = gallery.classes.map((_, label) => named(`c${label % gallery.colours}`));
    const colour = (image) => hues[gallery.labels[image]] ?? unknown;
    const shown = (image) => onlyLabel < 0 || gallery.labels[image] === onlyLabel;
    const inside = ([x, y]) => x > -TILE && y > -TILE && x < width + TILE && y < height + TILE;
    const taken = new Map(); // cell of the grid -> place of its tile
    const tiles = [];
    const free = ([x, y], column, row) => [-1, 0, 1].every((i) => [-1, 0, 1].every((j) => {
      const other = taken.get(`${column + i} ${row + j}`);
      return !other || Math.max(Math.abs(other[0] - x), Math.abs(other[1] - y)) >= TILE;
    }));
    places.forEach((at, image) => {
      if (!inside(at)) return;
      const [column, row] = at.map((part) => Math.floor(part / TILE));
      if (shown(image) && free(at, column, row)) {
        taken.set(`${column} ${row}`, at);
        tiles.push(image);
        return;
      }
      pen.globalAlpha = shown(image) ? 0.85 : 0.16;
      pen.fillStyle = colour(image);
      pen.beginPath();
      pen.arc(at[0], at[1], 3, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    Object.assign(pen, { font: "700 15px system-ui, sans-serif", textAlign: "center", textBaseline: "middle", lineWidth: 5, lineJoin: "round" });
    tiles.forEach((image) => tile(image, TILE - 6, colour(image)));
    const titled = [];
    if (used.length <= 12) used.forEach((label) => {
      const members = places.filter((_, image) => gallery.labels[image] === label);
      const [x, y] = [0, 1].map((axis) => members.map((at) => at[axis]).sort((a, b) => a - b)[members.length >> 1]);
      if (titled.some((other) => Math.abs(other[0] - x) < 56 && Math.abs(other[1] - y) < 18)) return;
      titled.push([x, y]);
      pen.globalAlpha = onlyLabel < 0 || onlyLabel === label ? 1 : 0.25;
      Object.assign(pen, { strokeStyle: ground, fillStyle: ink });
      pen.strokeText(gallery.classes[label].slice(0, 24), x, y);
      pen.fillText(gallery.classes[label].slice(0, 24), x, y);
    });
    pen.globalAlpha = 1;
    if (chosen >= 0) {
      Object.assign(pen, { strokeStyle: ink, lineWidth: 1.5 });
      for (const other of gallery.near[chosen]) {
        pen.beginPath();
        pen.moveTo(...places[chosen]);
        pen.lineTo(...places[other]);
        pen.stroke();
      }
      gallery.near[chosen].forEach((other) => tile(other, 32, colour(other)));
      tile(chosen, 54, ink);
    }
    if (hovered >= 0) tile(hovered, 44, ink);
  };

  let request = 0;
  const redraw = () => {
    cancelAnimationFrame(request);
    request = requestAnimationFrame(draw);
  };

  const nearest = (x, y, limit) => {
    let best = -1;
    let least = limit ** 2;
    places.forEach(([px, py], image) => {
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least && (onlyLabel < 0 || gallery.labels[image] === onlyLabel)) [best, least] = [image, far];
    });
    return best;
  };

  const point = (image) => {
    hovered = image;
    card.hidden = image < 0;
    canvas.style.cursor = image < 0 ? "grab" : "pointer";
    if (image >= 0) {
      place(card.querySelector(".thumb"), image);
      card.querySelector("p").textContent = [className(image), gallery.names[image]].filter(Boolean).join(" · ");
      const { width, height } = frame.getBoundingClientRect();
      const [x, y] = places[image];
      card.style.left = `${x + 170 < width ? x + 30 : Math.max(x - 162, 4)}px`;
      card.style.top = `${Math.min(Math.max(y - 70, 8), height - 210)}px`;
    }
    redraw();
  };

  const zoom = (factor, x, y) => {
    const { width, height, unit } = project();
    const next = Math.min(Math.max(view.zoom * factor, 1), 40);
    const gain = (1 - view.zoom / next) / unit; // keep what is under (x, y) where it is
    view.x += ((x ?? width / 2) - width / 2) * gain;
    view.y -= ((y ?? height / 2) - height / 2) * gain;
    view.zoom = next;
    if (next === 1) Object.assign(view, { x: middleX, y: middleY });
    canvas.classList.toggle("moved", next > 1);
    point(-1);
  };

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let grip = null;
  canvas.addEventListener("pointerdown", (event) => {
    grip = { x: event.clientX, y: event.clientY, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!grip || !(event.buttons & 1)) {
      point(nearest(...at(event), 26));
      return;
    }
    const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
    if (!grip.moved && Math.hypot(dx, dy) < 5) return;
    const { unit } = project();
    Object.assign(view, { x: view.x - dx / unit, y: view.y + dy / unit });
    grip = { x: event.clientX, y: event.clientY, moved: true };
    point(-1);
  });
  canvas.addEventListener("pointerleave", () => point(-1));
  canvas.addEventListener("click", (event) => {
    const image = grip?.moved ? -1 : nearest(...at(event), 30);
    grip = null;
    if (image >= 0) choose(image, false);
  });
  canvas.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && view.zoom === 1) return; // the page scrolls, until someone zooms
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...at(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const { width, height, unit } = project();
    const step = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) Object.assign(view, { x: view.x + step[0] / unit, y: view.y + step[1] / unit });
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "Enter") choose(nearest(width / 2, height / 2, Infinity), true);
    else return;
    event.preventDefault();
    project();
    point(nearest(width / 2, height / 2, Infinity));
  });
  const [closer, farther, all] = find("map-zoom").children;
  closer.addEventListener("click", () => zoom(1.6));
  farther.addEventListener("click", () => zoom(1 / 1.6));
  all.addEventListener("click", () => zoom(0));
  find("map-legend")?.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-label]");
    if (!chip) return;
    const label = Number(chip.dataset.label);
    onlyLabel = onlyLabel === label ? -1 : label;
    for (const other of find("map-legend").children) other.setAttribute("aria-pressed", String(Number(other.dataset.label) === onlyLabel));
    redraw();
  });

  sheet.addEventListener("load", () => {
    frame.querySelector("svg").setAttribute("hidden", "");
    canvas.hidden = false;
    find("map-zoom").hidden = false;
    new ResizeObserver(redraw).observe(frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    chose = redraw;
    redraw();
  });
  sheet.src = getComputedStyle(card.querySelector(".thumb")).backgroundImage.slice(5, -2);
})();
