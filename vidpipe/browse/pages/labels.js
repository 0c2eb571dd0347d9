// Labels: the choices with their digits, giving one, undoing it, and what still waits to be written.

import { element, get, post, say, saying } from "./api.js";
import { relabel, written } from "./grid.js";

const saving = document.getElementById("saving");

export const choices = []; // names, in the order of their digits
export const colours = new Map(); // name to number of its colour
let several = false; // whether a video of this collection may have several labels

/** The labels of a video: one, or those of its set. */
export const names = (label) => (!label ? [] : several ? label.split("|") : [label]);

/** What a video is labelled with when a name is picked: it, or where there may be several the set with it or without. */
export function with_or_without(video, name) {
  if (!several) return name;
  const before = names(video.known_label), picked = names(name).map((part) => part.trim());
  const after = picked.length === 1 && before.includes(picked[0]) ? before.filter((other) => other !== picked[0]) : [...new Set([...before, ...picked])];
  return after.sort().join("|");
}

/** Order the labels of a collection: by name, but the nine most frequent first where there are more. */
export function order(rows, multi_label) {
  several = multi_label;
  const byName = rows.map((row) => row.label).sort((a, b) => a.localeCompare(b));
  const frequent = [...rows].sort((a, b) => b.known + b.predicted - a.known - a.predicted).slice(0, 9).map((row) => row.label);
  const first = byName.filter((name) => frequent.includes(name));
  choices.splice(0, choices.length, ...first, ...byName.filter((name) => !frequent.includes(name)));
  colours.clear();
  choices.forEach((name, at) => colours.set(name, Math.min(at, 7)));
}

/** Buttons of all labels; `pick` is called with the name. */
export function buttons(box, pick, { digits = false, pressed = null, numbers = null } = {}) {
  box.replaceChildren(...choices.map((name, at) => {
    const button = element("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(names(pressed).includes(name)));
    const mark = digits && at < 9 ? element("kbd", "", String(at + 1)) : element("i", digits ? "" : `swatch k${colours.get(name)}`);
    mark.setAttribute("aria-hidden", "true");
    button.append(mark, element("span", "name", name), element("span", "number", numbers?.get(name) ?? ""));
    if (digits && at < 9) button.setAttribute("aria-keyshortcuts", String(at + 1));
    button.title = name;
    button.addEventListener("click", () => pick(name));
    return button;
  }));
}

/** Give a video a label, or where there may be several add or remove it; what it is labelled with, once on the disk. */
export async function give(collection, video, name) {
  const label = with_or_without(video, name);
  if (!label) { say(`${name} is the only label of ${video.path}: give another one first.`); return null; }
  const state = await saying(() => post("label", { collection, video_id: video.video_id, label }));
  if (!state) return null;
  for (const given of names(state.label)) if (!choices.includes(given)) { choices.push(given); colours.set(given, Math.min(choices.length - 1, 7)); }
  relabel(video.video_id, { known_label: state.label, is_waiting: state.is_new || video.is_waiting });
  tell(state);
  say(state.is_new ? `${state.label}: ${video.path}. U undoes it.` : `${video.path} is ${state.label} already.`);
  return state.label;
}

/** Whether one pick is all that a video needs. */
export const one_is_enough = () => !several;

/** Take the last label back; returns the video that it was of. */
export async function undo() {
  const state = await saying(() => post("undo"));
  if (!state) return null;
  tell(state);
  if (!state.undone) { say("Nothing to undo."); return null; }
  relabel(state.undone.video_id, { known_label: state.undone.known_label, is_waiting: state.undone.is_waiting });
  say(`Taken back: ${state.undone.label}, ${state.undone.path}`);
  return state.undone;
}

async function write() {
  const state = await saying(() => post("write"));
  if (state) { tell(state); say(`${state.written} labels written.`); }
  else refresh();
}

/** Say how many labels wait, and why. */
export function tell(state) {
  saving.replaceChildren();
  if (!state.waiting) { written(); return; }
  saving.append(`· ${state.waiting} ${state.waiting === 1 ? "label waits" : "labels wait"} to be written`, state.held ? `: ${state.held}` : "");
  const now = element("button", "", "Write now");
  now.type = "button";
  now.addEventListener("click", write);
  saving.append(now);
}

export async function refresh() {
  const state = await saying(() => get("state"));
  if (state) tell(state);
}
