/*
Lists in which something is ticked: says what it comes to, and keeps the ticks while the list follows what the apps do.
The server is told of the ticks when the list asks for itself anew; what is ticked or unticked until the answer is there
is done again afterwards. Without scripts the buttons lead to a page that asks.
*/
(() => {
  const MEGABYTE = 1048576;
  let late = new Map();
  let opened = [];

  const list = () => document.querySelector('[data-ticks]');
  const boxes = () => [...document.querySelectorAll('[data-ticks] [data-code]')];
  const whole = (number) => number.toLocaleString('en-US');
  const size = (bytes) => { // as accounts/templatetags/figures.py says sizes, halves rounded up
    const [kilobytes, megabytes] = [bytes / 1024, bytes / MEGABYTE];
    if (bytes < 1024) return `${whole(bytes)}\u00a0${bytes === 1 ? 'byte' : 'bytes'}`;
    if (Math.round(kilobytes) < 1000) return `${+kilobytes.toFixed(kilobytes < 10 ? 1 : 0)}\u00a0KB`;
    if (megabytes < 1023.995) return `${whole(+megabytes.toFixed(2))}\u00a0MB`;
    return `${whole(+(megabytes / 1024).toFixed(2))}\u00a0GB`;
  };

  function tell() {
    const sum = document.querySelector('[data-sum]');
    if (!sum) return;
    const all = boxes();
    const ticked = all.filter((box) => box.checked);
    const bytes = ticked.reduce((total, box) => total + Number(box.dataset.bytes), 0);
    sum.dataset.nothing ??= ticked.length ? 'Nothing ticked' : sum.textContent;
    let text = sum.dataset.nothing;
    if (ticked.length) {
      text = `${whole(ticked.length)} ticked, ${sum.dataset.verb} ${size(bytes)}`;
      const limit = Number(sum.dataset.limit);
      if (limit) text += `: then ${Math.floor(100 * (sum.dataset.used - bytes) / limit)} % full`;
    }
    if (sum.textContent !== text) sum.textContent = text;
    for (const deed of document.querySelectorAll('[data-deed]')) deed.disabled = !ticked.length;
    const every = document.querySelector('[data-all]');
    every.parentElement.hidden = all.length < 2;
    every.checked = ticked.length === all.length;
    every.indeterminate = ticked.length > 0 && !every.checked;
  }

  document.addEventListener('change', ({target}) => {
    if (!list()?.contains(target)) return;
    const changed = target.matches('[data-all]') ? boxes() : target.matches('[data-code]') ? [target] : [];
    for (const box of changed) {
      if (target.matches('[data-all]')) box.checked = target.checked;
      late.set(box.dataset.code, box.checked);
    }
    tell();
  });
  document.addEventListener('htmx:beforeRequest', ({target}) => { if (list()?.contains(target)) late = new Map(); });
  document.addEventListener('htmx:beforeSwap', () => {
    opened = [...document.querySelectorAll('[data-ticks] details[open]')].map((details) => details.id);
  });
  document.addEventListener('htmx:afterSwap', () => {
    for (const box of boxes()) if (late.has(box.dataset.code)) box.checked = late.get(box.dataset.code);
    for (const id of opened) document.getElementById(id)?.setAttribute('open', '');
    opened = [];
    const news = document.querySelector('[data-look]'); // once: what they pressed is gone, and this came of it
    news?.removeAttribute('data-look');
    news?.focus();
    tell();
  });
  addEventListener('pageshow', tell);  // a browser that comes back to a page ticks again what was ticked
  tell();
})();
