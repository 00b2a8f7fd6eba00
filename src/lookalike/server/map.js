// The map: a point an image, on a canvas; the pointer or the arrow keys show it, a click searches.
const find = (id) => document.getElementById(id);
const COLOURS = 10; // of the largest classes; the rest share one
const EDGE = 24; // pixels between the outermost images and the frame
const REACH = 22; // pixels from the pointer to the image it means

export const makeMap = (plane, go) => {
  const canvas = find("canvas");
  const pen = canvas.getContext("2d");
  const card = find("card");
  const { images } = plane;
  const counts = new Map();
  for (const image of images) if (image.class != null) counts.set(image.class, (counts.get(image.class) ?? 0) + 1);
  const natural = new Intl.Collator("en", { numeric: true }).compare;
  const largest = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, COLOURS);
  const classes = largest.sort(natural);
  const order = images.map((image) => classes.indexOf(image.class));
  const spans = [plane.x, plane.y].map((axis) => [Math.min(...axis), Math.max(...axis)]);
  let [query, near, pointed, only] = [-1, new Set(), -1, -2]; // -2: every class
  let [width, height, places] = [0, 0, []];

  const lay = () => {
    ({ width, height } = canvas.getBoundingClientRect());
    const ratio = devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [[left, right], [low, high]] = spans;
    const scale = Math.min((width - 2 * EDGE) / (right - left || 1), (height - 2 * EDGE) / (high - low || 1)); // one for both axes
    places = images.map((_, i) => [width / 2 + (plane.x[i] - (left + right) / 2) * scale, height / 2 - (plane.y[i] - (low + high) / 2) * scale]);
    draw();
  };

  const dot = (i, radius) => {
    pen.beginPath();
    pen.arc(...places[i], radius, 0, 2 * Math.PI);
    pen.fill();
  };

  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const palette = [colour("cx"), ...classes.map((_, i) => colour(`c${i}`))];
    pen.clearRect(0, 0, width, height);
    images.forEach((_, i) => {
      pen.globalAlpha = only === -2 || only === order[i] ? 0.8 : 0.08;
      pen.fillStyle = palette[order[i] + 1];
      dot(i, images.length > 1500 ? 2.6 : 3.8);
    });
    pen.globalAlpha = 1;
    const marks = [...[...near].map((i) => [i, 5.5]), [query, 8], [pointed, 6.5]];
    for (const [i, radius] of marks) {
      if (i < 0) continue;
      pen.fillStyle = colour("ink");
      dot(i, radius);
      pen.fillStyle = i === query ? colour("accent") : palette[order[i] + 1];
      dot(i, radius - 2);
    }
  };

  const point = (i) => {
    if (i === pointed) return;
    pointed = i;
    canvas.classList.toggle("near", i >= 0);
    card.hidden = i < 0;
    if (i >= 0) {
      find("card-picture").hidden = !images[i].picture;
      if (images[i].picture) find("card-picture").src = `/api/images/${images[i].number}`;
      find("card-name").textContent = [images[i].class, images[i].id].filter((part) => part != null).join(" · ");
      const [x, y] = places[i];
      const left = x + 148 > width ? x - 148 : x + 14;
      const top = Math.max(4, Math.min(y - 60, height - 200));
      card.style.transform = `translate(${Math.max(0, left)}px, ${top}px)`;
    }
    draw();
  };

  const closest = (x, y) => {
    let [best, least] = [-1, REACH ** 2];
    places.forEach(([px, py], i) => {
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far < least && (only === -2 || only === order[i])) [best, least] = [i, far];
    });
    return best;
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    return closest(event.clientX - box.left, event.clientY - box.top);
  };

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = ([dx, dy]) => {
    const from = pointed >= 0 ? places[pointed] : query >= 0 ? places[query] : [width / 2, height / 2];
    let [best, least] = [-1, Infinity];
    places.forEach(([px, py], i) => {
      const ahead = (px - from[0]) * dx + (py - from[1]) * dy;
      const aside = Math.abs((px - from[0]) * dy) + Math.abs((py - from[1]) * dx);
      if (i !== pointed && ahead > 0 && ahead + 2 * aside < least && (only === -2 || only === order[i])) [best, least] = [i, ahead + 2 * aside];
    });
    if (best >= 0) point(best);
  };

  canvas.addEventListener("pointermove", (event) => point(under(event)));
  canvas.addEventListener("pointerleave", () => point(-1));
  canvas.addEventListener("blur", () => point(-1));
  canvas.addEventListener("click", (event) => {
    const i = under(event);
    if (i >= 0) go(images[i]);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key in STEPS) {
      event.preventDefault();
      step(STEPS[event.key]);
    } else if (event.key === "Enter" && pointed >= 0) go(images[pointed]);
    else if (event.key === "Escape") point(-1);
  });

  // The legend: a class alone, or all of them.
  find("map-body").classList.toggle("with-legend", classes.length > 0);
  classes.forEach((name, i) => {
    const chip = document.createElement("button");
    Object.assign(chip, { type: "button", className: `chip c${i}` });
    chip.setAttribute("aria-pressed", "false");
    const [label, count] = [document.createElement("span"), document.createElement("small")];
    Object.assign(label, { className: "name", textContent: name });
    count.textContent = counts.get(name).toLocaleString("en");
    chip.append(document.createElement("i"), label, count);
    chip.addEventListener("click", () => {
      only = only === i ? -2 : i;
      for (const [j, other] of [...find("legend").children].entries()) other.setAttribute("aria-pressed", String(only === j));
      draw();
    });
    find("legend").append(chip);
  });

  lay();
  new ResizeObserver(lay).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  const rows = new Map(images.map((image, i) => [image.number, i]));
  return {
    mark(asked, neighbours) {
      query = rows.get(asked?.number) ?? -1;
      near = new Set(neighbours.map((image) => rows.get(image.number) ?? -1));
      near.delete(-1);
      draw();
    },
  };
};
