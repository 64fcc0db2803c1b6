const find = (selector) => document.querySelector(`.captioner ${selector}`);
const [drop, camera, result, seen, looked] = [".drop", ".camera", ".result", ".seen", ".looked"].map(find);
const [error, status, sentence, captions] = [".error", ".status", ".sentence", ".captions"].map(find);
const endpoint = "caption?pictures=true"; // beside the page, wherever a proxy has put it
const SAID = { sure: "Sure.", probably: "Probably.", "a guess": "A guess." };
const DOUBTED = 0.2; // about one word in six; good ones share their probability with others that mean the same
const NOT_REACHED = "The server cannot be reached. Is it still running?";

let asked = null; // what is under way; a newer photo takes its place
let preview = null;
let megabytes = Infinity; // the server says
let caption = ""; // what is shown
let familiar = null; // whether the photo is like those that the model learned from

function show(part, visible) {
  part.hidden = !visible;
}

function complain(text) {
  error.textContent = text;
  show(error, Boolean(text));
}

// For those who hear the page; what stands below it already is not said twice to those who see it.
function tell(text, visible) {
  status.textContent = text;
  status.classList.toggle("unseen", !visible);
}

async function introduce() {
  const response = await fetch("health").catch(() => null);
  if (!response?.ok) return;
  const health = await response.json();
  megabytes = health.max_megabytes;
  find(".megabytes").textContent = megabytes;
  find(".model").textContent = `Model: ${health.model}. Captioner ${health.version}.`;
}

function forget() {
  if (preview) URL.revokeObjectURL(preview);
  preview = null;
}

async function describe(file) {
  asked?.abort();
  const mine = (asked = new AbortController());
  complain("");
  forget();
  choose(null);
  show(result, false);
  tell("", false);
  if (file.size > megabytes * 1e6) {
    complain(`the file is larger than ${megabytes} MB; make it smaller`);
    return;
  }
  preview = URL.createObjectURL(file);
  seen.src = preview;
  result.classList.add("waiting");
  show(result, true);
  tell("Looking …", true);
  try {
    const response = await fetch(endpoint, {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream" },
      signal: mine.signal,
    });
    const answer = await response.json().catch(() => ({ error: `the server answers ${response.status}` }));
    if (mine !== asked) return;
    if (!response.ok) throw new Error(answer.error);
    seen.src = answer.photo;
    seen.alt = `Your photo: ${answer.caption}`;
    familiar = answer.familiar ?? null;
    show(find(".unfamiliar"), familiar === false);
    list(answer.candidates);
    result.classList.remove("waiting");
    drop.classList.add("done");
    const sure = certainty(answer);
    tell(`It says: ${answer.caption}${sure && ` (${sure})`}`, false);
    complain((answer.notes || []).join("; "));
  } catch (reason) {
    if (mine !== asked) return;
    show(result, false);
    tell("", false);
    complain(reason instanceof TypeError ? NOT_REACHED : reason.message);
  } finally {
    if (mine === asked) forget();
  }
}

function button(className, ...texts) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.setAttribute("aria-pressed", "false");
  for (const text of texts) made.append(Object.assign(document.createElement("span"), { textContent: text }));
  return made;
}

function press(pressed, among) {
  for (const each of among.querySelectorAll("[aria-pressed]")) each.setAttribute("aria-pressed", each === pressed);
}

// In words; empty where the model does not know. Of a photo unlike all that it has learned from, it can but guess.
function certainty(candidate) {
  return familiar === false ? "a guess" : candidate.certainty || "";
}

function score(candidate) {
  return candidate.score.toFixed(2).replace("-", "−");
}

function percent(share) {
  if (share > 0 && share < 0.005) return "<1%";
  if (share < 1 && share >= 0.995) return ">99%";
  return `${Math.round(100 * share)}%`;
}

function list(candidates) {
  captions.replaceChildren();
  show(find(".for-scores"), !candidates.some(certainty));
  for (const candidate of candidates) {
    const row = button("caption", candidate.caption, certainty(candidate) || score(candidate));
    row.title = `score ${score(candidate)}`;
    row.addEventListener("click", () => spell(candidate, row));
    captions.appendChild(document.createElement("li")).append(row);
  }
  spell(candidates[0], captions.querySelector(".caption"));
}

// How sure the chosen caption is, with the figures behind the words.
function weigh(candidate) {
  const sure = certainty(candidate);
  const right = familiar !== false && candidate.confidence != null;
  const share = right ? `In captions like this, about ${percent(candidate.confidence)} of the words are right. ` : "";
  find(".certainty strong").textContent = SAID[sure] || sure;
  find(".certainty span").textContent = `${share}Score ${score(candidate)}; closer to 0 is more likely.`;
  show(find(".certainty"), Boolean(sure));
  show(find(".odds"), Boolean(candidate.probabilities?.length));
}

function spell(candidate, row) {
  press(row, captions);
  choose(null);
  caption = candidate.caption;
  weigh(candidate);
  sentence.replaceChildren();
  let end = 0; // of the word before, in the sentence
  candidate.words.forEach((word, place) => {
    const made = button("word", word);
    const start = candidate.caption.indexOf(word, end);
    made.classList.toggle("joined", place > 0 && start === end); // Chinese and others have no spaces
    end = start + word.length;
    const likely = candidate.probabilities?.[place];
    if (likely !== undefined) {
      made.append(Object.assign(document.createElement("small"), { textContent: percent(likely) }));
      made.classList.toggle("doubted", likely < DOUBTED);
    }
    const again = () => made.getAttribute("aria-pressed") === "true";
    made.addEventListener("click", () => choose(again() ? null : made, candidate.pictures[place], word));
    sentence.append(made);
  });
}

function choose(word, picture, text) {
  press(word, sentence);
  show(looked, Boolean(word));
  if (word) {
    looked.src = picture;
    looked.alt = `Where the model looked before it said “${text}”`;
  }
  show(find(".for-none"), !word);
  show(find(".for-word"), Boolean(word));
  show(find("[data-do=plain]"), Boolean(word));
}

sentence.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const words = [...sentence.children];
  const next = step && words[words.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.click();
});

// The clipboard is given to pages of this machine and of https only; elsewhere the text is selected and copied.
async function copy() {
  let done = false;
  if (navigator.clipboard) {
    done = await navigator.clipboard.writeText(caption).then(() => true, () => false);
  }
  if (!done) {
    const text = document.createElement("textarea");
    text.value = caption;
    document.body.append(text);
    text.select();
    done = document.execCommand("copy");
    text.remove();
  }
  const pressed = find("[data-do=copy]");
  pressed.textContent = done ? "Copied" : "Not copied";
  tell(done ? "The caption is copied." : "The browser does not let the page copy.", false);
  pressed.focus();
  setTimeout(() => (pressed.textContent = "Copy"), 2000);
}

async function trySample(path) {
  const response = await fetch(path).catch(() => null);
  if (response?.ok) describe(await response.blob());
  else complain(NOT_REACHED);
}

let stream = null;

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  show(camera, false);
  show(drop, true);
}

const actions = {
  copy,
  plain: () => choose(null),
  "no-camera": stopCamera,
  camera: async () => {
    complain("");
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (reason) {
      const messages = { NotFoundError: "there is none", NotAllowedError: "permission was refused" };
      complain(`The camera cannot be used: ${messages[reason.name] || reason.message}.`);
      return;
    }
    find("video").srcObject = stream;
    show(drop, false);
    show(camera, true);
  },
  shoot: () => {
    const video = find("video");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    stopCamera();
    canvas.toBlob((blob) => (blob ? describe(blob) : complain("The camera gave no picture.")), "image/jpeg", 0.92);
  },
};
for (const [name, action] of Object.entries(actions)) find(`[data-do=${name}]`).addEventListener("click", action);
for (const sample of document.querySelectorAll("[data-sample]")) {
  sample.addEventListener("click", () => trySample(sample.dataset.sample));
}
// Browsers give the camera to pages of this machine and of https only
show(find("[data-do=camera]"), Boolean(navigator.mediaDevices?.getUserMedia));

find("input").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) describe(file);
  event.target.value = ""; // so that the same file may be chosen again
});
window.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])][0];
  if (file) describe(file);
});
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) describe(file);
});

introduce();
