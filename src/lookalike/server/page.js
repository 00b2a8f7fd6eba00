// The search page: what is asked stands in the address, so that back, forward and reload work.
import { makeMap } from "./map.js";
import { ask, find, make, picture } from "./parts.js";

const STARTS = 24; // images to begin with
const uploads = []; // files that were sent, by the number that the history keeps; gone on reload
let collection = null; // facts
let filters = [];
let starts = []; // images to begin with
let map = null;
let turn = 0; // of the search whose answer is awaited
let preview = ""; // address of the sent picture, in this browser

const say = (text, wrong = false) => {
  find("status").textContent = text;
  find("status").classList.toggle("wrong", wrong);
};

const address = (id, where) => {
  const words = new URLSearchParams(id === null ? {} : { id });
  for (const each of where) words.append("where", each);
  return words.size ? `/?${words}` : "/";
};

const go = (id, where = chosen().where) => {
  history.pushState(null, "", address(id, where));
  show(true);
};

const send = (file) => {
  if (!collection?.uploads) return say("this collection keeps no encoder: click an image instead", true);
  if (file.size > collection.limits.bytes * 0.999) {
    return say(`${file.name} is larger than ${collection.limits.bytes / 1e6} MB`, true);
  }
  history.pushState({ upload: uploads.push(file) - 1 }, "", address(null, chosen().where));
  show(true);
};

// What the address and the history ask for.
const chosen = () => {
  const words = new URLSearchParams(location.search);
  return { id: words.get("id"), where: words.getAll("where"), file: uploads[history.state?.upload] };
};

const hit = (image, query) => {
  const known = query?.class != null && image.class != null;
  const link = make("a", { className: "hit", href: address(image.id, chosen().where), title: image.id }, picture(image));
  if (known && image.class !== query.class) link.classList.add("other");
  if ("similarity" in image) link.append(make("b", { textContent: image.similarity.toFixed(3) }), " ");
  if (image.class != null) link.append(make("small", { textContent: image.class }));
  link.append(make("span", { className: "file name", textContent: image.id }));
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    go(image.id);
  });
  return make("li", {}, link);
};

const showAsked = (query, file) => {
  URL.revokeObjectURL(preview);
  preview = file ? URL.createObjectURL(file) : "";
  const source = file ? preview : query?.picture ? `/api/images/${query.number}` : "";
  find("picture").hidden = !source;
  if (source) find("picture").src = source;
  else find("picture").removeAttribute("src");
  find("drop").classList.toggle("shown", Boolean(source));
  const name = file ? file.name : (query?.id ?? "");
  find("title").textContent = name;
  find("kind").textContent = query?.class ?? "";
  document.title = name ? `${name} · lookalike` : `${collection.name} · lookalike`;
};

const showFilters = (where) => {
  for (const select of find("filters").querySelectorAll("select")) {
    const own = where.find((each) => each.startsWith(`${select.name}=`));
    select.value = own === undefined ? "" : own.slice(select.name.length + 1);
  }
};

const show = async (moved) => {
  const mine = ++turn;
  const { id, where, file } = chosen();
  const asks = id !== null || file !== undefined;
  find("filters").hidden = !asks || !filters.length;
  showFilters(where);
  if (!asks) {
    showAsked(null);
    find("hits").replaceChildren(...starts.map((image) => hit(image)));
    find("note").textContent = "";
    say(starts.length ? (collection.uploads ? "Drop an image, or start from one of these." : "Start from one of these.") : "Drop an image to see what is like it.");
    map?.mark(null, []);
    return;
  }
  document.body.classList.add("busy");
  const words = new URLSearchParams(where.map((each) => ["where", each]));
  if (file) showAsked(null, file); // at once; the answer adds nothing to it
  const form = new FormData();
  if (file) form.append("image", file);
  else words.append("id", id);
  try {
    const found = await ask(`/api/search?${words}`, file ? { method: "POST", body: form } : {});
    if (mine !== turn) return; // something else was asked meanwhile
    if (!file) showAsked(found.query);
    find("hits").replaceChildren(...found.neighbours.map((image) => hit(image, found.query)));
    const other = find("hits").querySelector(".other");
    find("note").textContent = `The number is the cosine of the two vectors: 1 is the same direction, 0 nothing in common.${other ? " A dashed frame marks another class than the query's." : ""}`;
    say(`${found.neighbours.length} of ${collection.images.toLocaleString("en")} images, the most alike first (${found.how}, ${(1000 * found.seconds).toPrecision(2)} ms)`);
    map?.mark(found.query, found.neighbours);
    if (moved) {
      find("title").focus({ preventScroll: true });
      scrollTo({ top: 0 });
    }
  } catch (problem) {
    if (mine !== turn) return;
    if (!file) showAsked(null);
    find("hits").replaceChildren();
    find("note").textContent = "";
    map?.mark(null, []);
    say(problem.message, true);
  } finally {
    if (mine === turn) document.body.classList.remove("busy");
  }
};

const makeFilters = () => {
  const natural = new Intl.Collator("en", { numeric: true }).compare;
  const boxes = filters.map(({ column, values }) => {
    const options = values.toSorted((a, b) => natural(a.value, b.value)).map(({ value, images }) => make("option", { value, textContent: `${value} (${images.toLocaleString("en")})` }));
    const select = make("select", { name: column }, make("option", { value: "", textContent: "all" }), ...options);
    select.addEventListener("change", () => {
      const { id, where } = chosen();
      const rest = where.filter((each) => !each.startsWith(`${column}=`));
      const wanted = select.value ? [...rest, `${column}=${select.value}`] : rest;
      history.pushState(history.state, "", address(id, wanted));
      show(false);
    });
    return make("label", {}, column, select);
  });
  find("filters").replaceChildren(...boxes);
};

const listen = () => {
  addEventListener("popstate", () => show(true));
  find("home").addEventListener("click", (event) => {
    event.preventDefault();
    go(null, []);
  });
  find("file").addEventListener("change", () => {
    if (find("file").files.length) send(find("file").files[0]);
    find("file").value = "";
  });
  let inside = 0; // a drag enters and leaves every element that it crosses
  const drag = (event, step) => {
    event.preventDefault();
    inside = step ? inside + step : 0;
    document.body.classList.toggle("dragging", inside > 0);
  };
  addEventListener("dragenter", (event) => drag(event, 1));
  addEventListener("dragleave", (event) => drag(event, -1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    drag(event, 0);
    const [file] = event.dataTransfer.files;
    if (file) send(file);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) send(file);
  });
};

// Every so many-th image of the map, so that all of it is seen.
const spread = (images) => {
  const shown = images.filter((image) => image.picture);
  const step = Math.max(1, shown.length / STARTS);
  return Array.from({ length: Math.min(STARTS, shown.length) }, (_, i) => shown[Math.floor(i * step)]);
};

const start = async () => {
  let plane;
  try {
    [collection, filters, plane] = await Promise.all(["collection", "filters", "map"].map((name) => ask(`/api/${name}`)));
  } catch (problem) {
    return say(problem.message, true);
  }
  const gone = collection.images - collection.pictures;
  find("about").textContent = `${collection.name} · ${collection.images.toLocaleString("en")} images${gone ? `, ${gone.toLocaleString("en")} without a picture` : ""}`;
  if (!collection.uploads) {
    find("invitation").textContent = "The collection keeps no encoder: click an image";
    find("again").textContent = "";
  }
  find("file").disabled = !collection.uploads;
  starts = spread(plane.images);
  makeFilters();
  if (plane.images.length) {
    find("map").hidden = false;
    const all = plane.images.length === collection.images ? "All images" : `${plane.images.length.toLocaleString("en")} images, drawn at random,`;
    find("map-note").textContent = `${all} on the two directions in which their vectors differ most, ${Math.round(100 * plane.share)} % of the variance: groups that touch here may lie apart. Point at an image to see it, click to search.`;
    map = makeMap(plane, (image) => go(image.id));
  }
  listen();
  await show(false);
};

start();
