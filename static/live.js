/*
Keeps a page up to date with what the apps do meanwhile. It asks for the version of the person's things while somebody
looks at the page, at once when they come back to it or to the network, and tells htmx's elements with the trigger "live"
when it has changed. Without scripts the page is as it was when it was opened.
*/
(() => {
  const EVERY_MS = 1500; // and the answer's own time: what an app does is on the page within two seconds
  const AT_MOST_MS = 30000;
  const PATIENCE_MS = 10000; // a connection from before the machine slept may never answer
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
  let awaited = null; // the part that waits until nobody writes in it

  const isSeen = () => document.visibilityState === 'visible';

  const next = () => {
    clearTimeout(timer);
    if (isSeen()) timer = setTimeout(ask, Math.min(EVERY_MS * 2 ** failures, AT_MOST_MS));
  };

  // One answer that does not come is nobody's business; two are.
  const failed = () => {
    failures += 1;
    if (failures > 1) connection.hidden = false;
  };

  async function ask() {
    if (running || !isSeen()) return;
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
      failures = 0;
      connection.hidden = true;
      if (answer.status === 200) {
        version = (await answer.json()).v;
        // Somebody else has signed in, in another tab: nothing here is theirs.
        if (version.split('.')[0] !== whose) return void location.reload();
        document.body.dispatchEvent(new Event('live'));
      }
    } catch {
      failed();
    } finally {
      running = false;
      next();
    }
  }

  for (const event of ['online', 'focus']) addEventListener(event, ask);
  addEventListener('pageshow', (event) => { if (event.persisted) ask(); });
  addEventListener('offline', () => { connection.hidden = false; });
  document.addEventListener('visibilitychange', () => isSeen() ? ask() : clearTimeout(timer));
  next();

  /* What htmx does with it. */

  const isLive = (detail) => detail.requestConfig?.triggeringEvent?.type === 'live';
  const WRITTEN_IN = 'textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])';

  // Nobody's words are replaced while they write them.
  document.body.addEventListener('htmx:beforeRequest', (event) => {
    const part = event.detail.elt;
    trouble.hidden = true;
    if (!isLive(event.detail) || !part.contains(document.activeElement)) return;
    if (!document.activeElement.matches(WRITTEN_IN)) return;
    event.preventDefault();
    awaited = part;
  });
  document.body.addEventListener('focusout', () => {
    if (!awaited) return;
    awaited = null;
    version = ''; // so that the next answer is a new one
  });

  // A part that did not come is asked for again; what somebody wanted by a click is theirs to repeat.
  for (const event of ['htmx:sendError', 'htmx:responseError', 'htmx:timeout']) {
    document.body.addEventListener(event, ({detail}) => {
      if (!isLive(detail)) return void (trouble.hidden = false);
      version = '';
      failed();
      next();
    });
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
})();
