"""The page at the sandbox's address: links and live counts, no external resources."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>syncengine sandbox</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1b2733}
 h1{font-size:1.4rem} h2{font-size:1.05rem;margin-top:1.6rem} table{border-collapse:collapse}
 td,th{padding:.15rem 1.2rem .15rem 0;text-align:left;vertical-align:top} td.n{text-align:right}
 .muted{color:#66788a} code{background:#eef2f5;padding:0 .25rem;border-radius:3px}
 .columns{display:flex;gap:3rem;flex-wrap:wrap}
</style></head><body>
<h1>Sandbox: a simulated Brightpearl and SYSPRO</h1>
<p class="muted">Nothing here is real. <span id="now"></span></p>
<div class="columns" id="systems"></div>
<h2>Faults in force</h2><div id="faults" class="muted">none</div>
<h2>Look inside</h2>
<p><a href="/_sandbox/state">state</a> · <a href="/_sandbox/switches">switches</a> ·
 <a href="/_sandbox/faults">faults</a> · <a href="/_sandbox/calls/latest">latest calls</a> ·
 <a href="/_sandbox/effects">effects</a> · <a href="/_sandbox/shop">what is to become of the orders</a> ·
 <a href="/_sandbox/brightpearl/orders">Brightpearl orders</a> ·
 <a href="/_sandbox/brightpearl/contacts">contacts</a> ·
 <a href="/_sandbox/brightpearl/products">products</a> ·
 <a href="/_sandbox/brightpearl/webhooks">webhooks</a></p>
<script>
const cell = (tag, text, css) => { const e = document.createElement(tag); e.textContent = text;
  if (css) e.className = css; return e; };
function table(title, entries) {
  const box = document.createElement("div"), t = document.createElement("table");
  box.append(cell("h2", title), t);
  for (const [name, value] of entries) {
    const row = t.insertRow(); row.append(cell("td", name), cell("td", value, "n"));
  }
  return box;
}
async function show() {
  try {
    const s = await (await fetch("/_sandbox/state")).json(), boxes = [];
    document.getElementById("now").textContent = "Clock " + s.now + ", seed " + s.seed + ", " + s.effects + " effects.";
    for (const name of ["brightpearl", "syspro"]) {
      if (s[name]) boxes.push(table(name + ": objects", Object.entries(s[name])));
      const calls = s.calls[name];
      if (calls) boxes.push(table(name + ": " + calls.total + " calls", Object.entries(calls.operations)));
    }
    document.getElementById("systems").replaceChildren(...boxes);
    document.getElementById("faults").textContent = s.faults.length
      ? s.faults.map(f => f.system + " " + f.operation + ": " + f.kind + " (" + f.hits + " hits)").join("; ") : "none";
  } catch { document.getElementById("now").textContent = "The sandbox does not answer."; }
}
show(); setInterval(show, 1000);
</script></body></html>
"""
