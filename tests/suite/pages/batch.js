// Finds and sorts models from inside a page of a batch, and tells the page around it what it found.
'use strict';
const problems = [];
addEventListener('error', event => problems.push('error: ' + event.message));
addEventListener('unhandledrejection', event => problems.push('rejection: ' + event.reason));
const expect = (fact, what) => { if (!fact) problems.push(what); };
const soon = () => new Promise(resolve => setTimeout(resolve, 50));
addEventListener('load', async () => {
  try {
    const $ = selector => document.querySelector(selector), all = selector => [...document.querySelectorAll(selector)];
    const models = () => all('#models tbody'), seen = () => models().filter(model => model.getClientRects().length > 0);
    const count = models().length, first = models()[0], last = models()[count - 1];
    const narrow = innerWidth < 700;
    expect([390, 700, 900, 1500].includes(innerWidth), 'the window is ' + innerWidth + ' wide');
    const fits = where => expect(document.documentElement.scrollWidth <= innerWidth, where + ' is wider than the window: ' + document.documentElement.scrollWidth);
    fits('the page');
    expect($('#shown').textContent === count + ' of ' + count + ' models shown', 'all are counted: ' + $('#shown').textContent);

    // Narrow: cards, each figure behind its label. Wide: a table. The remark has the full width either way.
    const cell = $('#models td.number'), label = getComputedStyle(cell, '::before').content;
    expect(narrow === label.includes(cell.dataset.label), 'labels of figures: ' + label);
    expect(narrow === (getComputedStyle($('#models')).display === 'block'), 'cards');
    for (const remark of all('.remark td')) {
      expect(remark.getBoundingClientRect().width > 0.9 * remark.closest('tbody').getBoundingClientRect().width - 32, 'a remark in a narrow column');
    }
    for (const poor of all('strong.poor')) expect(/ poor$/.test(poor.textContent), 'a word beside the colour');

    // By keyboard: everything is a control that the keyboard reaches.
    const controls = all('#find, #status, #theme, #models thead th button');
    expect(controls.length === 3 + all('#models thead th').length, 'controls');
    for (const control of controls) {
      control.focus();
      expect(document.activeElement === control && control.tabIndex === 0, 'no focus on ' + control.outerHTML);
      expect(control.labels === undefined || control.tagName === 'BUTTON' || control.labels.length === 1, 'no label: ' + control.id);
    }

    const button = all('#models thead th button')[2], head = button.closest('th');
    const keys = () => models().map(model => model.rows[0].cells[2].dataset.key).filter(key => key !== '').map(Number);
    button.click();
    expect(head.getAttribute('aria-sort') === 'ascending', 'aria-sort');
    expect(keys().every((key, at, keys) => at === 0 || keys[at - 1] <= key), 'ascending: ' + keys());
    button.focus();
    button.click();
    expect(document.activeElement === button, 'the focus stays');
    expect(head.getAttribute('aria-sort') === 'descending' && all('#models [aria-sort]').length === 1, 'aria-sort of the other way');
    expect(keys().every((key, at, keys) => at === 0 || keys[at - 1] >= key), 'descending: ' + keys());
    expect(models().length === count, 'all are there');
    all('#models thead th button')[0].click();
    const names = models().map(model => model.querySelector('bdi').textContent);
    expect(names.indexOf('zoo/resnet2.onnx') < names.indexOf('zoo/resnet10.onnx'), 'numbers in names: ' + names);
    all('#models thead th button')[1].click();
    if (document.title.includes('converted')) expect(models()[0] === first && models()[count - 1] === last, 'the worst first again');

    const find = $('#find'), status = $('#status');
    const type = text => { find.value = text; find.dispatchEvent(new Event('input')); };
    const choose = value => { status.value = value; status.dispatchEvent(new Event('change')); };
    type('RESNET1');
    expect(seen().length === 3 && $('#shown').textContent === '3 of ' + count + ' models shown', 'by name: ' + $('#shown').textContent);
    choose('failed');
    expect(seen().length === 0 && $('#shown').textContent.startsWith('0 of'), 'none');
    type('');
    expect(seen().length === 1 && seen()[0].dataset.status === 'failed', 'by status');
    choose('poor');
    expect(seen().length === 2 && seen().every(model => model.dataset.status === 'poor'), 'poor ones');
    choose('');
    expect(seen().length === count, 'all again');
    fits('the page after all that');

    const colour = () => getComputedStyle(document.body).backgroundColor, before = colour();
    $('#theme').click();
    expect(colour() !== before, 'the button changes colours');
    for (const look of window.axe ? ['light', 'dark'] : []) {
      document.documentElement.dataset.theme = look;
      await soon();
      const found = await axe.run(document, { resultTypes: ['violations'] });
      for (const one of found.violations) problems.push(look + ': ' + one.id + ': ' + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | '));
    }
    if (window.axe) problems.push('axe ran');
  } catch (error) {
    problems.push('thrown: ' + error);
  }
  parent.postMessage(JSON.stringify(problems), '*');
});
