/* A menu that is open closes when somebody looks elsewhere, and by Escape. Without scripts it stays until it is closed. */
(() => {
  const close = (menu) => { menu.open = false; };
  const open = () => document.querySelectorAll('details.menu[open]');
  document.addEventListener('click', (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) close(menu);
  });
  document.addEventListener('focusin', (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) close(menu);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    for (const menu of open()) {
      if (menu.contains(document.activeElement)) menu.querySelector('summary').focus();
      close(menu);
    }
  });
})();
