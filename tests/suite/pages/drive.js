// Clicks through a page from inside, and tells the page around it what it found.
'use strict';
const problems = [];
addEventListener('error', event => problems.push('error: ' + event.message));
addEventListener('unhandledrejection', event => problems.push('rejection: ' + event.reason));
const expect = (fact, what) => { if (!fact) problems.push(what); };
const soon = () => new Promise(resolve => setTimeout(resolve, 50));
addEventListener('load', async () => {
  try {
    const cells = [...document.querySelectorAll('.cell')];
    expect(cells.length > 1, 'cells of the strip');
    const cell = cells[cells.length - 1];
    const layer = document.querySelector('details.layer[data-layer="' + cell.dataset.layer + '"]');
    expect(!layer.open, 'layers are folded at first');
    cell.click();
    await soon();
    expect(layer.open, 'a cell opens its layer');
    expect(cell.getAttribute('aria-current') === 'true', 'the cell is marked');
    expect(document.activeElement === layer.querySelector('summary'), 'the layer has the focus');
    layer.open = false;
    cell.click();
    await soon();
    expect(layer.open, 'the same cell opens it again');
    document.getElementById('find').value = layer.querySelector('h3').textContent;
    document.getElementById('find').dispatchEvent(new Event('input'));
    const seen = [...document.querySelectorAll('details.layer')].filter(one => !one.hidden);
    expect(seen.includes(layer) && seen.length < cells.length, 'names are found');
    document.getElementById('find').value = '';
    document.getElementById('find').dispatchEvent(new Event('input'));
    const order = document.getElementById('order');
    order.value = 'noise';
    order.dispatchEvent(new Event('change'));
    expect(document.querySelector('details.layer').dataset.rank === '1', 'the noisiest comes first');
    document.getElementById('open').click();
    expect([...document.querySelectorAll('details.layer')].every(one => one.open), 'all are open');
    document.getElementById('close').click();
    const before = getComputedStyle(document.body).backgroundColor;
    document.getElementById('theme').click();
    expect(getComputedStyle(document.body).backgroundColor !== before, 'the button changes colours');
    expect(document.documentElement.scrollWidth <= innerWidth, 'nothing is wider than the window: ' + document.documentElement.scrollWidth);
    JSON.parse(document.getElementById('data').textContent);
    if (window.axe) {
      document.getElementById('open').click();
      for (const part of document.querySelectorAll('details')) part.open = true;
      for (const look of ['light', 'dark']) {
        document.documentElement.dataset.theme = look;
        await soon();
        const found = await axe.run(document, { resultTypes: ['violations'] });
        for (const one of found.violations) problems.push(look + ': ' + one.id + ': ' + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | '));
      }
      problems.push('axe ran');
    }
  } catch (error) {
    problems.push('thrown: ' + error);
  }
  parent.postMessage(JSON.stringify(problems), '*');
});
