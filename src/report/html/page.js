'use strict';
// Without this the page reads as well: it folds, filters and finds.
const at = id => document.getElementById(id);
for (const part of document.querySelectorAll('.tools, .filter')) part.hidden = false;

const theme = at('theme');
const dark = () => document.documentElement.dataset.theme
  ? document.documentElement.dataset.theme === 'dark'
  : matchMedia('(prefers-color-scheme: dark)').matches;
const told = () => {
  theme.textContent = dark() ? 'Light' : 'Dark';
  theme.setAttribute('aria-label', dark() ? 'Use light colours' : 'Use dark colours');
};
theme.removeAttribute('aria-pressed');
theme.addEventListener('click', () => { document.documentElement.dataset.theme = dark() ? 'light' : 'dark'; told(); });
told();

at('save').addEventListener('click', () => {
  const data = JSON.stringify(JSON.parse(at('data').textContent), null, 2);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([data], { type: 'application/json' }));
  link.download = 'report.json';
  link.click();
  URL.revokeObjectURL(link.href);
});

const layers = [...document.querySelectorAll('details.layer')];
const cells = [...document.querySelectorAll('.cell')];
// Opens what an address leads to.
const follow = focus => {
  const target = location.hash.length > 1 ? at(decodeURIComponent(location.hash.slice(1))) : null;
  if (!target) return;
  for (let outer = target.closest('details'); outer; outer = outer.parentElement.closest('details')) {
    outer.open = true;
    outer.hidden = false;
  }
  const layer = target.closest('details.layer');
  if (!layer) return;
  for (const cell of cells) {
    if (cell.dataset.layer === layer.dataset.layer) cell.setAttribute('aria-current', 'true');
    else cell.removeAttribute('aria-current');
  }
  layer.scrollIntoView();
  if (focus) layer.querySelector('summary').focus({ preventScroll: true });
};
addEventListener('hashchange', () => follow(true));
document.addEventListener('click', event => {
  const link = event.target.closest('a[href^="#"]');
  // The same address once more changes nothing that is heard of.
  if (link && link.getAttribute('href') === location.hash) { event.preventDefault(); follow(true); }
});
follow(false);

if (at('find')) {
  const list = at('list');
  const name = layer => layer.querySelector('summary').textContent.toLowerCase();
  const filter = () => {
    const wanted = at('find').value.trim().toLowerCase(), noisy = at('only').checked;
    let count = 0;
    for (const layer of layers) {
      layer.hidden = !(name(layer).includes(wanted) && (!noisy || layer.dataset.grade === 'noisy'));
      count += layer.hidden ? 0 : 1;
    }
    at('found').textContent = count === layers.length ? '' : count + ' of ' + layers.length + ' layers';
  };
  at('find').addEventListener('input', filter);
  at('only').addEventListener('change', filter);
  at('order').addEventListener('change', () => {
    const key = at('order').value === 'noise' ? 'rank' : 'layer';
    list.append(...[...layers].sort((one, other) => one.dataset[key] - other.dataset[key]));
  });
  const all = open => layers.filter(layer => !layer.hidden).forEach(layer => { layer.open = open; });
  at('open').addEventListener('click', () => all(true));
  at('close').addEventListener('click', () => all(false));
}

// Paper cannot be unfolded.
let folded = [];
addEventListener('beforeprint', () => {
  folded = [...document.querySelectorAll('details:not([open])')];
  for (const part of folded) part.open = true;
});
addEventListener('afterprint', () => { for (const part of folded) part.open = false; });
