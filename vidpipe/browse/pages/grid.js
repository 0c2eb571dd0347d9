// The grid of videos: pages as they are scrolled to, one card in the tab order, arrow keys between cards.

import { clock, element, get, saying } from "./api.js";
import { names } from "./labels.js";
import { loopsUnder, picture } from "./pictures.js";

const list = document.getElementById("grid"), count = document.getElementById("count");
const nothing = document.getElementById("nothing"), end = document.getElementById("more");

let filters = {}, next = null, under_way = null;
export const shown = []; // videos with their cards, in order

const whole = new Intl.NumberFormat("en");

/** A card of a video, which is a button. */
export function card(video) {
  const made = element("button", "card");
  made.type = "button";
  made.tabIndex = -1;
  made.append(picture(video.video_id), element("div", "said"));
  loopsUnder(made, made.firstElementChild);
  fill(made, video);
  return made;
}

/** Write into a card what is known of its video. */
export function fill(made, video) {
  const box = made.firstElementChild, said = made.lastElementChild;
  box.querySelectorAll(".corner, .flags").forEach((old) => old.remove());
  if (video.duration_s) box.append(element("span", "corner", clock(video.duration_s)));
  const flags = element("span", "flags");
  for (const text of flagsOf(video)) flags.append(element("span", "flag", text));
  box.append(flags);
  const top = element("span", "top"), label = video.known_label ?? video.predicted ?? video.label;
  top.append(element("span", video.known_label ? "name known" : "name", label ? (video.known_label ? `✓ ${label}` : label) : unlabelled(video)));
  const value = video.cosine ?? video.score;
  if (value !== null && value !== undefined) top.append(element("span", "score", value.toFixed(video.cosine === undefined ? 2 : 3)));
  said.replaceChildren(top);
  if (contradicts(video)) said.append(element("span", "against", `model: ${video.predicted || "no label"}`));
  const where = element("span", "where");
  where.append(element("bdi", "", video.path));
  said.append(where);
  made.title = video.path;
  made.setAttribute("aria-label", described(video, label));
}

function flagsOf(video) {
  const flags = [];
  if (video.is_waiting) flags.push("not yet written");
  if (video.novelty > 1) flags.push("novel");
  if (video.places > 1) flags.push(`${video.places} copies`);
  if (video.suggested) flags.push(`rather ${video.suggested}?`);
  if (video.verdict && video.verdict !== "ok") flags.push(video.verdict.replaceAll("_", " "));
  return flags;
}

/** Whether the model says another label, or where there may be several another set. */
function contradicts(video) {
  if (!video.known_label || video.predicted === null || video.predicted === undefined) return false;
  return video.multi_label ? names(video.known_label).sort().join("|") !== video.predicted : !names(video.known_label).includes(video.predicted);
}

/** What a video without a label shows: of several labels, perhaps none holds. */
const unlabelled = (video) => (video.multi_label && video.predicted === "" ? "no label holds" : "not classified");

function described(video, label) {
  const score = video.score === null || video.score === undefined ? "" : `, score ${video.score.toFixed(2)}`;
  const kind = video.known_label ? `known label ${label}` : label ? `predicted ${label}${score}` : unlabelled(video);
  return [video.path, kind, ...flagsOf(video)].join(", ");
}

/** Show the videos that fit; called again, it forgets what was under way. */
export async function show(wanted) {
  filters = wanted;
  next = null;
  under_way?.abort();
  await saying(async () => {
    const found = await page(null);
    shown.length = 0;
    list.replaceChildren();
    add(found);
    count.textContent = `${whole.format(found.matching)} ${found.matching === 1 ? "video" : "videos"}`;
    nothing.hidden = found.matching > 0;
    scrollTo(0, 0);
  });
}

async function page(after) {
  under_way = new AbortController();
  return get("videos", { ...filters, after }, under_way.signal);
}

function add(found) {
  const cards = document.createDocumentFragment();
  for (const video of found.videos) {
    const item = element("li"), made = card(video);
    made.dataset.at = shown.length;
    shown.push({ video, made });
    item.append(made);
    cards.append(item);
  }
  list.append(cards);
  next = found.next;
  if (shown.length && !list.querySelector('[tabindex="0"]')) shown[0].made.tabIndex = 0;
}

let busy = false;
async function more() {
  if (!next || busy) return;
  busy = true;
  const asked = filters, found = await saying(() => page(next));
  busy = false;
  if (found && asked === filters) add(found);
}
new IntersectionObserver(([entry]) => entry.isIntersecting && more(), { rootMargin: "800px" }).observe(end);

// -- the keyboard ---------------------------------------------------------------------------------

/** Move focus to a card by its place. */
export function focusOn(at) {
  const target = shown[at];
  if (!target) return false;
  list.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  target.made.tabIndex = 0;
  target.made.focus();
  target.made.scrollIntoView({ block: "nearest" });
  if (at > shown.length - 20) more();
  return true;
}

function columns() {
  return getComputedStyle(list).gridTemplateColumns.split(" ").length;
}

list.addEventListener("keydown", (event) => {
  const at = Number(event.target.closest(".card")?.dataset.at);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -at, End: shown.length - 1 - at }[event.key];
  if (Number.isNaN(at) || step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  focusOn(at + step);
});
list.addEventListener("focusin", (event) => {
  const focused = event.target.closest(".card");
  list.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  if (focused) focused.tabIndex = 0;
});

/** The card that has the focus, if one has. */
export function focused() {
  const at = document.activeElement?.closest?.("#grid .card")?.dataset.at;
  return at === undefined ? null : shown[Number(at)];
}

/** Show on the cards of a video which label it has now. */
export function relabel(video_id, now) {
  for (const { video, made } of shown.filter((one) => one.video.video_id === video_id)) fill(made, Object.assign(video, now));
}

/** Nothing waits any more. */
export function written() {
  for (const { video, made } of shown.filter((one) => one.video.is_waiting)) fill(made, Object.assign(video, { is_waiting: false }));
}
