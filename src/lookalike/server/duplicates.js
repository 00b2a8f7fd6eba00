// Groups of duplicates to decide on. The marks stay in this browser; saved, they are the table that `lookalike apply` reads.
import { ask, find, make, picture } from "./parts.js";

const AT_ONCE = 30; // groups to show
const COLUMNS = ["group", "id", "keep", "score", "width", "height", "bytes", "reason"];
const NOT_SAME = "not the same";
const CHOSEN = "chosen by a person";
const groups = []; // in the order of the page
let known = null; // what the server tells of all groups
let limit = AT_ONCE;
let marks = {}; // what a person decided, by the name of a group: { keep: id, apart: [id] }

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

const say = (text, wrong = false) => {
  find("status").textContent = text;
  find("status").classList.toggle("wrong", wrong);
};

// What the table says of a group: of several images to keep, one stands for the group.
const suggested = (group) => {
  const kept = group.images.filter((image) => image.keep);
  const keep = (kept.find((image) => image.reason !== NOT_SAME) ?? kept[0]).id;
  return { keep, apart: kept.map((image) => image.id).filter((id) => id !== keep) };
};
const decided = (group) => marks[group.name] ?? suggested(group);
const spare = (group) => {
  const { keep, apart } = decided(group);
  return group.images.filter((image) => image.id !== keep && !apart.includes(image.id));
};

const storage = () => `lookalike marks ${known.table}`;
const remember = () => {
  try {
    localStorage.setItem(storage(), JSON.stringify(marks));
  } catch {
    // a browser that keeps nothing: the marks live as long as the page
  }
};
const recall = () => {
  try {
    marks = JSON.parse(localStorage.getItem(storage())) ?? {};
  } catch {
    marks = {};
  }
};

const mark = (group, wanted) => {
  const same = JSON.stringify(wanted) === JSON.stringify(suggested(group));
  if (same) delete marks[group.name];
  else marks[group.name] = wanted;
  remember();
  draw(group);
  sum();
};

const button = (label, pressed, act) => {
  const made = make("button", { type: "button", textContent: label });
  made.setAttribute("aria-pressed", String(pressed));
  made.addEventListener("click", act);
  return made;
};

const kilobytes = (bytes) => (bytes >= 1000 ? `${Math.round(bytes / 1000).toLocaleString("en")} kB` : `${bytes} bytes`);

const tile = (group, image) => {
  const { keep, apart } = decided(group);
  const state = image.id === keep ? "keep" : apart.includes(image.id) ? "apart" : "spare";
  const first = suggested(group).keep;
  const score = image.id === first ? "" : image.score.toFixed(3);
  const told = { keep: "keep", apart: "stays", spare: "spare" }[state];
  const shown = make("figure", { className: `copy ${state}` }, picture(image, "lazy"));
  const caption = make("figcaption", {}, make("p", { className: "state" }, make("b", { textContent: told }), ` ${score}`));
  const reason = state === "keep" && image.id === first && image.reason ? `${image.reason}; ` : "";
  caption.append(make("p", { className: "file name", textContent: image.id }));
  caption.append(make("p", { className: "size", textContent: `${reason}${image.width} × ${image.height}, ${kilobytes(image.bytes)}` }));
  const choices = make("p", { className: "choices" });
  if (state === "spare") choices.append(button("Keep this one", false, () => mark(group, { keep: image.id, apart })));
  if (state !== "keep") {
    const others = apart.filter((id) => id !== image.id);
    const wanted = state === "apart" ? others : group.images.map((each) => each.id).filter((id) => others.includes(id) || id === image.id);
    choices.append(button("Not the same", state === "apart", () => mark(group, { keep, apart: wanted })));
  }
  shown.append(caption, choices);
  return shown;
};

const draw = (group) => {
  const focused = [...group.shown.querySelectorAll("button")].indexOf(document.activeElement);
  const moving = spare(group).length;
  const least = Math.min(...group.images.map((image) => image.score));
  const about = make("p", { className: "about", textContent: `${group.images.length} images, ${moving ? `${moving} spare` : "all stay"}` });
  const head = make("div", { className: "group-head" }, make("h2", { textContent: least === 1 ? "the same" : least.toFixed(3) }), about);
  if (marks[group.name]) head.append(button("Undo", false, () => mark(group, suggested(group))));
  group.shown.replaceChildren(head, make("div", { className: "copies" }, ...group.images.map((image) => tile(group, image))));
  const buttons = group.shown.querySelectorAll("button");
  if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus({ preventScroll: true });
};

const sum = () => {
  const changed = Object.keys(marks).length;
  find("sum").textContent = changed ? `You changed ${count(changed, "group", "groups")}.` : "Nothing is changed yet.";
  find("forget").hidden = !changed;
  find("next").hidden = true;
};

// Fetch groups until so many are there.
const load = async (wanted) => {
  while (groups.length < wanted) {
    const ahead = Math.min(limit, wanted - groups.length);
    const answer = await ask(`/api/duplicates?start=${groups.length}&count=${ahead}`);
    if (known && answer.table !== known.table) throw new Error("the server has other duplicates now: load this page again");
    known = answer;
    if (!answer.shown.length) return;
    groups.push(...answer.shown);
  }
};

const show = async (wanted) => {
  await load(wanted);
  for (const group of groups.slice(0, wanted)) {
    if (group.shown) continue;
    group.shown = make("article", { className: group.images.length > 2 ? "group large" : "group" });
    find("groups").append(group.shown);
    draw(group);
  }
  const left = known.groups - Math.min(wanted, known.groups);
  find("more").hidden = !left;
  find("more").textContent = `Show more: ${count(left, "group is", "groups are")} left`;
};

// A text that no spreadsheet takes for a formula, as names.py has it.
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const NUMBER = /^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const harmless = (value) => (FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value);

// A cell of a table, quoted only where it must be, as Python's csv does.
const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

// Why an image of a marked group stays or goes.
const reason = (group, image) => {
  const { keep, apart } = decided(group);
  if (apart.includes(image.id)) return NOT_SAME;
  if (image.id === keep) return keep === suggested(group).keep ? image.reason : CHOSEN;
  return image.keep ? "" : image.reason;
};

const table = () => {
  const lines = [COLUMNS];
  for (const group of groups.toSorted((a, b) => a.place - b.place)) {
    const { keep, apart } = decided(group);
    for (const image of group.images) {
      const stays = image.id === keep || apart.includes(image.id);
      const why = group.name in marks ? reason(group, image) : image.reason;
      lines.push([group.name, image.id, stays ? "yes" : "no", image.score.toFixed(6), image.width, image.height, image.bytes, why]);
    }
  }
  return lines.map((line) => `${line.map((value) => cell(harmless(String(value)))).join(",")}\r\n`).join("");
};

const save = async () => {
  find("download").disabled = true;
  try {
    await load(known.groups);
    const moving = groups.reduce((total, group) => total + spare(group).length, 0);
    const address = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    make("a", { href: address, download: "duplicates.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    const command = make("code", { className: "command", textContent: `lookalike apply ${known.folder} --table duplicates.csv --move-to spare` });
    find("next").replaceChildren(`Saved. ${count(moving, "image", "images")} will move, when you run `, command);
    find("next").hidden = false;
  } catch (problem) {
    find("next").textContent = problem.message;
    find("next").hidden = false;
  } finally {
    find("download").disabled = false;
  }
};

const explain = (collection) => {
  say("Nobody has looked for duplicates yet, or the server was not told where they are.");
  find("command").textContent = `lookalike duplicates ${collection.name} --out dups\nlookalike serve ${collection.name} --duplicates dups`;
  find("command").hidden = false;
};

const start = async () => {
  try {
    const collection = await ask("/api/collection");
    find("about").textContent = `${collection.name} · ${count(collection.images, "image", "images")}`;
    if (collection.duplicates === null) return explain(collection);
    limit = collection.limits.groups;
    await load(1);
    if (!known.groups) return say("No two images show the same photo.");
    recall();
    await show(AT_ONCE);
    say(`${count(known.groups, "group", "groups")} of ${count(known.images, "image", "images")} that show the same photo, the least alike first.`);
    find("how").textContent = `From ${known.threshold.toFixed(3)} on two images count as one photo; 1 is the same in every detail. The number of an image is how well it agrees with the one suggested to keep.`;
    find("how").hidden = false;
    find("save").hidden = false;
    document.body.classList.add("saving");
    sum();
    find("more").addEventListener("click", () => show(document.querySelectorAll(".group").length + AT_ONCE).catch((problem) => say(problem.message, true)));
    find("download").addEventListener("click", save);
    find("forget").addEventListener("click", () => {
      marks = {};
      remember();
      for (const group of groups) if (group.shown) draw(group);
      sum();
    });
  } catch (problem) {
    say(problem.message, true);
  }
};

start();
