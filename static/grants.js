// Runs a grant file step after step for as long as its page is open, and shows how far it is. Without this script the
// button does one step a press. Steps may be repeated or run side by side: no line is ever run twice.
"use strict";

const form = document.getElementById("grant-progress");
const bar = document.getElementById("grant-bar");
const status_line = document.getElementById("grant-status");
const button = form.querySelector("[type=submit]");
const PAUSE_MS = 200; // between two steps
const RETRY_MS = [1000, 3000, 10000]; // after a step that failed

let failures = 0;

async function step() {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    headers: { Accept: "application/json" },
  });
  if (!answer.ok || !(answer.headers.get("Content-Type") || "").startsWith("application/json")) {
    throw new Error(String(answer.status));
  }
  return answer.json();
}

const figure = (number) => number.toLocaleString("en-US");

function show(progress) {
  const run = progress.done + progress.failed;
  bar.value = run;
  bar.textContent = `${run} of ${progress.total}`;
  status_line.textContent = `${figure(run)} of ${figure(progress.total)} lines are run.`;
  document.getElementById("granted").textContent = figure(progress.done);
  document.getElementById("failed").textContent = figure(progress.failed);
}

async function go_on() {
  button.disabled = true;
  try {
    const progress = await step();
    failures = 0;
    show(progress);
    if (progress.state !== "running") {
      location.reload();
      return;
    }
    setTimeout(go_on, PAUSE_MS);
  } catch {
    if (failures < RETRY_MS.length) {
      status_line.textContent = "The last step was not answered. It is tried again…";
      setTimeout(go_on, RETRY_MS[failures++]);
    } else {
      failures = 0;
      button.disabled = false;
      status_line.textContent = "This page cannot go on. Press Continue, or leave it to the next sweep.";
    }
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go_on();
});
go_on();
