// Labels: the choices with their digits, giving one, undoing it, and what still waits to be written.

import { element, get, post, say, saying } from "./api.js";
import { relabel, written } from "./grid.js";

const saving = document.getElementById("saving");

export const choices = []; // names, in the order of their digits
export const colours = new Map(); // name to number of its colour

/** Order the labels of a collection: by name, but the nine most frequent first where there are more. */
export function order(rows) {
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
    button.setAttribute("aria-pressed", String(name === pressed));
    const mark = digits && at < 9 ? element("kbd", "", String(at + 1)) : element("i", digits ? "" : `swatch k${colours.get(name)}`);
    mark.setAttribute("aria-hidden", "true");
    button.append(mark, element("span", "name", name), element("span", "number", numbers?.get(name) ?? ""));
    if (digits && at < 9) button.setAttribute("aria-keyshortcuts", String(at + 1));
    button.title = name;
    button.addEventListener("click", () => pick(name));
    return button;
  }));
}

/** Give a video a label; true when it is on the disk. */
export async function give(collection, video, label) {
  const state = await saying(() => post("label", { collection, video_id: video.video_id, label }));
  if (!state) return false;
  if (!choices.includes(state.label)) { choices.push(state.label); colours.set(state.label, Math.min(choices.length - 1, 7)); }
  relabel(video.video_id, { known_label: state.label, is_waiting: state.is_new || video.is_waiting });
  tell(state);
  say(state.is_new ? `${state.label}: ${video.path}. U undoes it.` : `${video.path} is ${state.label} already.`);
  return true;
}

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
