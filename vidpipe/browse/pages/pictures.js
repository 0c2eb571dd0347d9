// Stills that load when they come into view, a few at a time, and previews that loop under pointer or focus.

import { element } from "./api.js";

const AT_ONCE = 3; // of the six connections that a browser keeps to one server: the others are for answers
const waiting = [];
let loading = 0;

const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const at = waiting.indexOf(target);
    if (isIntersecting && at < 0 && !target.dataset.done) waiting.push(target);
    if (!isIntersecting && at >= 0) waiting.splice(at, 1); // scrolled past before its turn
  }
  load();
}, { rootMargin: "300px" });

function load() {
  while (loading < AT_ONCE && waiting.length) {
    const box = waiting.pop(); // the last to come into view is the one that is looked at
    if (!box.isConnected) continue;
    loading += 1;
    box.dataset.done = "yes";
    inView.unobserve(box);
    still(box).finally(() => { loading -= 1; load(); });
  }
}

async function still(box) {
  const image = element("img");
  image.alt = "";
  image.src = `picture/${box.dataset.video}/still`;
  try {
    await image.decode();
    box.style.setProperty("--shape", image.naturalWidth / image.naturalHeight);
    box.prepend(image);
  } catch {
    box.prepend(element("span", "why", await reason(image.src)));
  }
}

async function reason(address) {
  const answer = await fetch(address).then((response) => response.json()).catch(() => null);
  return answer && answer.error ? answer.error.message : "no picture";
}

/** A box with the still of a video, loaded when it comes into view. */
export function picture(video_id, box = element("div", "picture")) {
  box.dataset.video = video_id;
  delete box.dataset.done;
  inView.observe(box);
  return box;
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Let a picture's box loop through its filmstrip, once that has loaded; returns the strip's size. */
export async function loop(box) {
  if (box.querySelector(".loop")) return null;
  const video_id = box.dataset.video, strip = new Image();
  strip.src = `picture/${video_id}/strip`;
  try {
    await strip.decode();
  } catch {
    return null; // the still says why
  }
  if (box.dataset.video !== video_id) return null;
  const shape = strip.naturalWidth / 10 / strip.naturalHeight, size = { shape, address: strip.src };
  if (calm.matches || box.dataset.looping === "no" || box.querySelector(".loop")) return size;
  const moving = element("div", "loop");
  moving.style.backgroundImage = `url("${strip.src}")`;
  moving.style.aspectRatio = shape;
  moving.style[shape > box.clientWidth / box.clientHeight ? "width" : "height"] = "100%";
  box.append(moving);
  return size;
}

/** A preview for as long as pointer or focus is on the card. */
export function loopsUnder(card, box) {
  let soon = 0;
  const start = () => { box.dataset.looping = "yes"; soon = setTimeout(() => loop(box), 150); };
  const stop = () => { clearTimeout(soon); box.dataset.looping = "no"; box.querySelector(".loop")?.remove(); };
  card.addEventListener("pointerenter", start);
  card.addEventListener("focus", start);
  card.addEventListener("pointerleave", () => document.activeElement !== card && stop());
  card.addEventListener("blur", stop);
}
