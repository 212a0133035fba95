'use strict';
// Without this the page reads as well: it finds and sorts models, and changes colours.
const at = id => document.getElementById(id);
for (const part of document.querySelectorAll('.tools, .filter')) part.hidden = false;

const theme = at('theme');
const dark = () => document.documentElement.dataset.theme
  ? document.documentElement.dataset.theme === 'dark'
  : matchMedia('(prefers-color-scheme: dark)').matches;
const told = () => {
  theme.textContent = dark() ? 'Light' : 'Dark';
  theme.setAttribute('aria-label', dark() ? 'Light colours' : 'Dark colours');
};
theme.addEventListener('click', () => { document.documentElement.dataset.theme = dark() ? 'light' : 'dark'; told(); });
told();

// Each model is a group of rows, as its remark is a row of its own.
const table = at('models'), models = [...table.tBodies], heads = [...table.tHead.rows[0].cells];
table.classList.add('live');

const name = model => model.querySelector('th bdi').textContent;
const filter = () => {
  const wanted = at('find').value.trim().toLowerCase(), status = at('status').value;
  let count = 0;
  for (const model of models) {
    model.hidden = !(name(model).toLowerCase().includes(wanted) && (!status || model.dataset.status === status));
    count += model.hidden ? 0 : 1;
  }
  at('shown').textContent = count + ' of ' + models.length + (models.length === 1 ? ' model' : ' models') + ' shown';
};
at('find').addEventListener('input', filter);
at('status').addEventListener('change', filter);
// A browser that goes back keeps what was typed.
addEventListener('pageshow', filter);
filter();

const collator = new Intl.Collator('en', { numeric: true });
const sort = head => {
  const column = heads.indexOf(head), up = head.getAttribute('aria-sort') !== 'ascending';
  for (const other of heads) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const key = model => model.rows[0].cells[column].dataset.key;
  const order = (one, other) => {
    if (column === 0) return collator.compare(name(one), name(other)) * (up ? 1 : -1);
    const [x, y] = [key(one), key(other)];
    // What has no figure comes last either way.
    if (x === '' || y === '') return (x === '') - (y === '');
    return x === y ? 0 : (x - y) * (up ? 1 : -1);
  };
  models.sort(order);
  table.append(...models);
};
for (const head of heads) {
  const button = document.createElement('button');
  button.type = 'button';
  button.append(...head.childNodes);
  button.addEventListener('click', () => sort(head));
  head.append(button);
}
