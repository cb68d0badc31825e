/*
Keeps a page up to date with what the apps do meanwhile. It asks for the version of the person's things while somebody
looks at the page, at once when they come back to it or to the network, and tells htmx's elements with the trigger "live"
when it has changed. Without scripts the page is as it was when it was opened.
*/
(() => {
  const EVERY_MS = 1500; // and the answer's own time: what an app does is on the page within two seconds
  const AT_MOST_MS = 30000;
  const PATIENCE_MS = 10000; // a connection from before the machine slept may never answer
  const SETTLED_MS = 100; // htmx makes what it has brought listen a moment after it is there
  const bar = document.querySelector('[data-version]');
  if (!bar) return;
  const address = bar.dataset.live;
  const connection = document.getElementById('connection');
  const trouble = document.getElementById('trouble');
  let version = bar.dataset.version;
  const [whose] = version.split('.');
  let failures = 0;
  let timer = 0;
  let running = false;
  const underway = new Set(); // what htmx waits for
  let isRenewing = false; // parts have been told to come anew
  let isMissing = false; // one of them has not come
  let isStale = false; // one of them was given up

  const isSeen = () => document.visibilityState === 'visible';

  const next = (wait = Math.min(EVERY_MS * 2 ** failures, AT_MOST_MS)) => {
    clearTimeout(timer);
    if (isSeen()) timer = setTimeout(ask, wait);
  };

  // One answer that does not come is nobody's business; two are.
  const failed = () => {
    failures += 1;
    if (failures > 1) connection.hidden = false;
  };
  const worked = () => {
    failures = 0;
    connection.hidden = true;
  };

  // A part that is on its way does not hear of what changes meanwhile: the question waits until all have come.
  async function ask() {
    if (running || underway.size || !isSeen()) return;
    running = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(`${address}?v=${version}`, {
        headers: {'HX-Request': 'true', 'HX-Current-URL': location.href},
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const elsewhere = answer.headers.get('HX-Redirect');
      if (elsewhere) return void location.assign(elsewhere);
      if (!answer.ok) throw new Error(answer.status);
      const now = Date.parse(answer.headers.get('Date')); // the service's clock, of which the seconds have begun
      if (now) tellTimes(now + 1000);
      if (answer.status === 204) return void worked();
      const {v} = await answer.json();
      // Somebody else has signed in, in another tab: nothing here is theirs.
      if (v.split('.')[0] !== whose) return void location.reload();
      if (underway.size) return;
      version = v;
      isRenewing = true;
      document.body.dispatchEvent(new Event('live'));
    } catch {
      failed();
    } finally {
      running = false;
      if (!underway.size) next();
    }
  }

  for (const event of ['online', 'focus']) addEventListener(event, ask);
  addEventListener('pageshow', (event) => { if (event.persisted) ask(); });
  addEventListener('offline', () => { connection.hidden = false; });
  document.addEventListener('visibilitychange', () => isSeen() ? ask() : clearTimeout(timer));
  next();

  /* What htmx does with it. */

  if (window.htmx) document.documentElement.classList.add('with-htmx');
  const isLive = (detail) => detail.requestConfig?.triggeringEvent?.type === 'live';

  // By the request itself: the element that has made it may be gone when it ends, and htmx's events of it with it.
  document.addEventListener('htmx:beforeSend', ({detail}) => {
    const {xhr} = detail;
    let isGivenUp = false;
    underway.add(xhr);
    if (!isLive(detail)) trouble.hidden = true;
    xhr.addEventListener('abort', () => { isGivenUp = true; });
    xhr.addEventListener('loadend', () => {
      const isThere = xhr.status >= 200 && xhr.status < 400;
      underway.delete(xhr);
      // A part that did not come is asked for again, as is one that was given up for what somebody wanted by a click:
      // but of that, nothing has failed. What they wanted is theirs to repeat.
      if (isLive(detail) && isGivenUp) isStale = true;
      else if (isLive(detail)) isMissing ||= !isThere;
      else if (!isThere && !isGivenUp) trouble.hidden = false;
      if (!underway.size) allHaveEnded();
    });
  });

  function allHaveEnded() {
    if (isMissing) failed();
    else if (isRenewing && !isStale) worked();
    if (isMissing || isStale) version = ''; // so that the next answer is a new one
    isRenewing = isMissing = isStale = false;
    next(failures ? undefined : SETTLED_MS);
  }

  // Whoever stands on a link or a button of a part stands on it afterwards, too.
  let stood = null;
  const nameOf = (element) => [element.tagName, element.getAttribute('href'), element.name, element.value, element.dataset.copy].join(' ');
  document.body.addEventListener('htmx:beforeSwap', ({detail}) => {
    const element = document.activeElement;
    stood = isLive(detail) && element !== document.body && detail.target.contains(element) && !element.id ? nameOf(element) : null;
  });
  document.body.addEventListener('htmx:afterSettle', () => {
    if (!stood || document.activeElement !== document.body) return;
    const same = [...document.querySelectorAll('main a, main button, main input')].find((element) => nameOf(element) === stood);
    stood = null;
    same?.focus({preventScroll: true});
  });

  /* Times that pass while the page is open, in the words of accounts/templatetags/figures.py. */

  const UNITS = [[86400, 'day'], [3600, 'hour'], [60, 'minute']];
  const NEAR = /^(just now|\d+ \w+ ago|in a moment|in \d+ \w+)$/;

  function tellTimes(now) {
    for (const time of document.querySelectorAll('time[title]')) {
      const before = time.textContent;
      if (!NEAR.test(before)) continue;
      const isToCome = before.startsWith('in ');
      const seconds = (Date.parse(time.dateTime) - now) / (isToCome ? 1000 : -1000);
      // What has passed is told in whole units, what is to come to the nearest: "24 hours" are a day.
      const early = (index) => (isToCome ? (UNITS[index + 1]?.[0] ?? 0) / 2 : 0);
      const [length, unit] = UNITS.find(([enough], index) => seconds >= enough - early(index)) ?? [];
      const count = isToCome ? Math.round(seconds / length) : Math.floor(seconds / length);
      const told = unit ? `${count} ${unit}${count === 1 ? '' : 's'}` : '';
      const text = isToCome ? `in ${told || 'a moment'}` : told ? `${told} ago` : 'just now';
      if (text !== before) time.textContent = text;
    }
  }
})();
