/*
What pages do at once, without asking the service: copying, and going on by the keyboard. Without scripts the
codes stand there to be written down, and the buttons that only copy are not shown.
*/
(() => {
  const SHOWN_MS = 2500;
  const told = document.createElement('p');
  told.className = 'told';
  told.setAttribute('role', 'status');
  document.body.append(told);
  let timer = 0;

  function tell(words) {
    told.textContent = words;
    told.classList.add('here');
    clearTimeout(timer);
    timer = setTimeout(() => { told.classList.remove('here'); told.textContent = ''; }, SHOWN_MS);
  }

  async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement('textarea'); // where the address is not https
    field.value = text;
    field.className = 'unseen';
    document.body.append(field);
    const before = document.activeElement;
    field.select();
    const done = document.execCommand('copy');
    field.remove();
    before?.focus({preventScroll: true});
    if (!done) throw new Error('not copied');
  }

  async function copyPicture(address) {
    const png = fetch(address).then(answer => answer.ok && answer.headers.get('Content-Type') === 'image/png' ? answer.blob() : Promise.reject(new Error(answer.status)));
    await navigator.clipboard.write([new ClipboardItem({'image/png': png})]);
  }

  addEventListener('click', async event => {
    const button = event.target.closest?.('[data-copy], [data-copy-from], [data-copy-picture]');
    if (!button) return;
    const {copy: text, copyFrom: from, copyPicture: picture} = button.dataset;
    try {
      if (picture) await copyPicture(picture);
      else await copy(text ?? document.getElementById(from).textContent);
      button.classList.add('copied');
      setTimeout(() => button.classList.remove('copied'), SHOWN_MS);
      tell(text ? `${text} copied` : 'Copied');
    } catch {
      tell('It could not be copied.');
    }
  });

  // After a step to another page of projects, reading goes on at its beginning, and not where the link was.
  addEventListener('htmx:afterSettle', ({detail}) => {
    if (detail.requestConfig?.elt.closest('#found .pages')) document.getElementById('found').focus({preventScroll: true});
  });

  // From one project to the next, unless somebody writes, or looks at something else.
  addEventListener('keydown', event => {
    const way = {ArrowLeft: 'previous', ArrowRight: 'next'}[event.key];
    if (!way || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest('input, textarea, select, summary, [contenteditable]')) return;
    document.getElementById(way)?.click();
  });

  // What an app changes meanwhile must not take the words away from somebody who is typing them.
  addEventListener('htmx:oobBeforeSwap', event => {
    if (event.detail.target.id === 'renaming' && event.detail.target.open) event.detail.shouldSwap = false;
  });
})();
