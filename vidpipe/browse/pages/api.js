// Requests to this page's own server. Addresses are relative: the token stays in the page's own address.

export class Refused extends Error {}

async function answered(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const error = body && body.error;
  throw new Refused(error ? [error.message, error.next && `Next: ${error.next}`].filter(Boolean).join(" ") : `The server answers ${response.status}.`);
}

async function asked(...request) {
  let response;
  try {
    response = await fetch(...request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("vidpipe browse does not answer any more. Start it again, and open the address that it prints.");
  }
  return answered(response);
}

export function get(what, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return asked(`api/${what}?${new URLSearchParams(given)}`, { signal });
}

export function post(what, body = {}) {
  return asked(`api/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

const toast = document.getElementById("toast");
let hiding = 0;

/** Say something to everybody, screen readers included, for some seconds. */
export function say(text) {
  toast.textContent = text;
  toast.classList.add("on");
  clearTimeout(hiding);
  hiding = setTimeout(() => toast.classList.remove("on"), 4000);
}

/** Run an action; what the server refuses is said. */
export async function saying(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name !== "AbortError") say(error instanceof Refused ? error.message : String(error));
    return undefined;
  }
}

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}

export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
