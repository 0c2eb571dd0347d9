// The page as a whole: filters in the address, what opens the viewer, and the keyboard.

import { get, say, saying } from "./api.js";
import { focused, focusOn, show, shown } from "./grid.js";
import { buttons, choices, give, one_is_enough, order, refresh, undo } from "./labels.js";
import { labelled, opened, pressed, view } from "./viewer.js";

const by = (id) => document.getElementById(id);
const NAMES = ["collection", "text", "sort", "state", "min_score", "max_score", "novelty", "since", "until", "duplicate", "verdict"];
let label = "", facets = { labels: [], verdicts: [] };

const collection = () => by("collection").value;

// -- filters ----------------------------------------------------------------------------------------

function filters() {
  const given = Object.fromEntries(NAMES.map((name) => [name, by(name).value]));
  if (given.until) given.until = dayAfter(given.until); // the last day is meant to be shown
  return { ...given, label };
}

function dayAfter(day) {
  const next = new Date(`${day}T00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}

function remember() {
  const said = new URLSearchParams(NAMES.map((name) => [name, by(name).value]).filter(([, value]) => value && value !== "all" && value !== "path"));
  if (label) said.set("label", label);
  history.replaceState(null, "", `?${said}`);
}

function recall() {
  const said = new URLSearchParams(location.search);
  for (const name of NAMES) if (said.has(name)) by(name).value = said.get(name);
  label = said.get("label") ?? "";
}

async function changed() {
  remember();
  drawLabels();
  await show(filters());
}

function drawLabels() {
  const numbers = new Map(facets.labels.map((row) => [row.label, String(Math.max(row.known, row.predicted))]));
  buttons(by("labels"), (name) => { label = label === name ? "" : name; changed(); }, { pressed: label, numbers });
}

/** Read labels and verdicts of the collection that is chosen. */
async function enter() {
  const found = await saying(() => get("facets", { collection: collection() }));
  if (!found) return;
  facets = found;
  order(facets.labels, facets.multi_label);
  const verdict = by("verdict"), before = verdict.value;
  verdict.replaceChildren(new Option("any", ""), ...facets.verdicts.map((row) => new Option(`${row.verdict.replaceAll("_", " ")} (${row.videos})`, row.verdict)));
  verdict.value = facets.verdicts.some((row) => row.verdict === before) ? before : "";
}

let typing = 0;
for (const name of NAMES.slice(1)) {
  by(name).addEventListener(name === "text" ? "input" : "change", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, name === "text" ? 200 : 0);
  });
}
by("collection").addEventListener("change", async () => { label = ""; await enter(); changed(); });
by("filters").addEventListener("submit", (event) => event.preventDefault());
by("reset").addEventListener("click", () => { by("filters").reset(); by("text").value = ""; label = ""; changed(); });

// -- one video, and one after the other ---------------------------------------------------------------

async function pick(video, name, then) {
  const given = await give(video.collection ?? collection(), video, name);
  if (!given) return;
  video.known_label = given;
  if (opened()?.video_id === video.video_id) labelled(given);
  if (one_is_enough()) then?.();
}

function openCard(at) {
  const { video } = shown[at];
  const move = (step) => { if (shown[at + step]) openCard(at + step); };
  view(video, collection(), { pick, giving: pick, move, place: "", closed: () => focusOn(at) });
  if (at > shown.length - 5) focusOn(at); // asks for the next page
}

by("grid").addEventListener("click", (event) => {
  const at = event.target.closest(".card")?.dataset.at;
  if (at !== undefined) openCard(Number(at));
});

async function labelQueue() {
  const rows = await saying(() => get("queue", { collection: collection(), most: 50 }));
  if (!rows) return;
  if (!rows.length) { say("Every video with features has a label."); return; }
  const openAt = (at) => {
    if (at < 0) return;
    if (at >= rows.length) { by("viewer").close(); say("The end of this queue. L begins the next one."); return; }
    const then = () => opened()?.video_id === rows[at].video_id && openAt(at + 1);
    view(rows[at], collection(), {
      pick: (video, name) => pick(video, name, then), giving: pick, move: (step) => openAt(at + step),
      place: `${at + 1} of ${rows.length}, ${rows[at].candidates} without a label`, closed: changed,
    });
    undone = (video_id) => openAt(rows.findIndex((row) => row.video_id === video_id));
  };
  openAt(0);
}

let undone = null; // where the queue goes back to

async function takeBack() {
  const video = await undo();
  if (!video) return;
  if (opened()?.video_id === video.video_id) labelled(video.known_label, video.is_waiting);
  else if (opened() && undone) undone(video.video_id);
}

by("viewer").addEventListener("close", () => { undone = null; });
by("start-labelling").addEventListener("click", labelQueue);
by("show-help").addEventListener("click", () => by("help").showModal());

// -- the keyboard -------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || by("help").open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape" && opened()) { event.preventDefault(); event.target.blur(); }
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "u") takeBack();
  else if (opened()) { if (!pressed(key)) return; }
  else if (key === "l") labelQueue();
  else if (key === "/") by("text").focus();
  else if (key === "?") by("help").showModal();
  else if (/^[1-9]$/.test(key) && focused() && choices[key - 1]) pick(focused().video, choices[key - 1]);
  else if (key === "y" && focused()?.video.predicted) pick(focused().video, focused().video.predicted);
  else return;
  event.preventDefault();
});

// -- the start ----------------------------------------------------------------------------------------

const names = (await saying(() => get("collections"))) ?? [];
by("collection").replaceChildren(...names.map((row) => new Option(`${row.collection} (${row.present.toLocaleString("en")})`, row.collection)));
recall();
await enter();
recall(); // the verdicts are there now
await changed();
refresh();
setInterval(refresh, 15000);
