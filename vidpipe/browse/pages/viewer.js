// One video, large: its loop, its filmstrip over the timeline, scores, facts, similar videos, and the labels to give.

import { clock, element, get, saying } from "./api.js";
import { card } from "./grid.js";
import { buttons, choices, colours } from "./labels.js";
import { loop, picture } from "./pictures.js";

const by = (id) => document.getElementById(id);
const dialog = by("viewer");
let current = null, steps = {};

export const opened = () => (dialog.open ? current : null);

/**
 * Show a video.
 * `options.pick(video, label)` gives a label and `options.giving` stays there, `options.move(step)` goes on,
 * `options.place` says where one is, `options.closed()` comes at the end.
 */
export async function view(video, collection, options) {
  current = { ...video, collection };
  steps = options;
  by("viewer-path").textContent = video.path;
  by("viewer-place").textContent = options.place ?? "";
  const box = by("viewer-picture");
  box.replaceChildren();
  by("viewer-strip").style.backgroundImage = "";
  for (const id of ["viewer-scores", "viewer-facts", "viewer-timeline", "similar"]) by(id).replaceChildren();
  if (!dialog.open) { dialog.showModal(); by("viewer-picture").scrollIntoView(); }
  choose();
  picture(video.video_id, box);
  const asked = video.video_id, still = () => current?.video_id === asked && dialog.open;
  loop(box).then((strip) => strip && still() && lay(strip));
  const facts = await saying(() => get("video", { video_id: asked, collection }));
  if (!facts || !still()) return;
  const held = facts.scores.filter((row) => row.holds).map((row) => row.label);
  Object.assign(current, facts, { predicted: (facts.multi_label ? held.sort().join("|") : held[0]) || null });
  choose();
  scores(facts.scores, facts);
  told(facts);
  timeline(facts.timeline, facts.duration_s);
  const rows = await saying(() => get("similar", { video_id: asked, most: 12 }));
  if (rows && still()) alike(rows);
}

function choose() {
  const known = by("viewer-label");
  known.replaceChildren();
  if (current.known_label) known.append(element("b", "", `✓ ${current.known_label}`), current.is_waiting ? " · not yet written" : current.label_source ? ` · ${current.label_source}` : "");
  else known.append(element("span", "quiet", "No known label."));
  buttons(by("viewer-choices"), (name) => steps.pick(current, name), { digits: true, pressed: current.known_label });
}

/** Show the label that was given. */
export function labelled(label, waiting = true) {
  current.known_label = label;
  current.is_waiting = waiting;
  choose();
}

function lay(strip) {
  const film = by("viewer-strip");
  film.style.backgroundImage = `url("${strip.address}")`;
  film.style.aspectRatio = strip.shape * 10;
}

function scores(rows, facts) {
  const box = by("viewer-scores");
  if (!rows.length) { box.append(element("span", "quiet", "Nothing yet.")); return; }
  const table = element("div", "scores");
  for (const row of rows) {
    const meter = element("span", "meter"), bar = element("i");
    bar.style.width = `${100 * row.score}%`;
    meter.append(bar);
    table.append(element("span", "", row.label), meter, element("span", "value", row.score.toFixed(3)));
  }
  box.append(table);
  if (facts.novelty > 1) box.append(element("p", "quiet", `Novelty ${facts.novelty.toFixed(2)}: unlike the training, perhaps none of these.`));
}

function told(facts) {
  const size = facts.width_px ? `${facts.width_px} × ${facts.height_px}` : "", box = by("viewer-facts");
  const rows = [
    ["length", clock(facts.duration_s)], ["picture", [size, facts.video_codec].filter(Boolean).join(", ")],
    ["verdict", facts.verdict], ["recorded", facts.recorded_at && `${facts.recorded_at} UTC`], ["arrived", `${facts.first_seen_at} UTC`],
    ["novelty", facts.novelty?.toFixed(2)], ["version", facts.model_version], ["group", facts.group_name],
    ...Object.entries(facts.attributes ?? {}), ["files", facts.places.join("\n")], ["hash", facts.video_id.slice(0, 16)],
  ];
  for (const [name, value] of rows) if (value || value === 0) box.append(element("dt", "", name), element("dd", "", String(value)));
}

function timeline(segments, duration) {
  if (!segments.length) return;
  const box = element("div", "timeline"), end = Math.max(duration ?? 0, ...segments.map((s) => s.end_s));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1000 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(rect("track", 0, 1000));
  for (const s of segments) svg.append(rect(`k${colours.get(s.label) ?? 7}`, 1000 * s.start_s / end, 1000 * (s.end_s - s.start_s) / end));
  const axis = element("p", "axis");
  axis.setAttribute("aria-hidden", "true");
  for (const share of [0, 0.25, 0.5, 0.75, 1]) axis.append(element("span", "", clock(share * end)));
  const list = element("ol");
  list.setAttribute("aria-label", "Segments in order of time");
  for (const s of segments) {
    const item = element("li"), swatch = element("i", `swatch k${colours.get(s.label) ?? 7}`);
    item.append(swatch, element("span", "quiet", `${clock(s.start_s)} to ${clock(s.end_s)}`), element("span", "", s.label), element("span", "quiet", s.peak_score.toFixed(2)));
    list.append(item);
  }
  box.append(svg, axis, list);
  by("viewer-timeline").append(box);
}

function rect(className, x, width) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  made.setAttribute("class", className);
  made.setAttribute("x", x.toFixed(2));
  made.setAttribute("width", Math.max(width, 1).toFixed(2));
  made.setAttribute("height", "10");
  return made;
}

function alike(rows) {
  if (!rows.length) { by("similar").append(element("li", "quiet", "This video has no vector yet.")); return; }
  for (const row of rows) {
    const item = element("li"), made = card({ ...row, predicted: row.label });
    made.tabIndex = 0;
    made.addEventListener("click", () => aside({ ...row, known_label: null }, row.collection));
    item.append(made);
    by("similar").append(item);
  }
}

/** Look at another video, from which either arrow leads back. */
function aside(video, collection) {
  const [from, before] = [current, steps];
  const back = () => view(from, from.collection, before);
  view(video, collection, { ...before, pick: before.giving, move: back, place: `similar to ${from.path}` });
}

by("close").addEventListener("click", () => dialog.close());
by("previous").addEventListener("click", () => steps.move(-1));
by("next").addEventListener("click", () => steps.move(1));
by("new-label").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = by("new-label-text").value.trim();
  by("new-label-text").value = "";
  by("new-label-text").blur();
  if (text) steps.pick(current, text);
});
dialog.addEventListener("close", () => { by("viewer-picture").replaceChildren(); steps.closed?.(); });

/** What a key does here; true when it did something. */
export function pressed(key) {
  if (key === "ArrowRight" || key === "s") steps.move(1);
  else if (key === "ArrowLeft") steps.move(-1);
  else if (key === "n") by("new-label-text").focus();
  else if (key === "y" && current.predicted) steps.pick(current, current.predicted);
  else if (/^[1-9]$/.test(key) && choices[key - 1]) steps.pick(current, choices[key - 1]);
  else return false;
  return true;
}
