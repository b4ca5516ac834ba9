// Uses the report as a reader would, and leaves what it saw in <pre id="seen">.
(() => {
  const get = id => document.getElementById(id);
  const set = (id, value, kind) => { get(id).value = value; get(id).dispatchEvent(new Event(kind)); };
  const over = get("over"), table = document.querySelector(".scores table");
  const place = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === "PSNR dB");
  const column = index => [...table.tBodies[0].rows].map(row => row.cells[index].textContent);
  const seen = { clip: [over.parentNode.style.clipPath], methods: column(0) };
  set("slide", 20, "input");
  seen.clip.push(over.parentNode.style.clipPath);
  table.tHead.rows[0].cells[place].click();
  seen.down = column(place);
  table.tHead.rows[0].cells[place].click();
  seen.up = column(place);
  set("zoom", 4, "input");
  seen.zoom = over.style.transform;
  get("stage").dispatchEvent(new WheelEvent("wheel", { deltaY: -400, cancelable: true }));
  seen.wheel = over.style.transform;
  const source = over.src;
  get("heat").checked = true;
  get("heat").dispatchEvent(new Event("change"));
  seen.heat = over.src !== source && over.src.startsWith("data:image/webp");
  get("heat").checked = false;
  set("example", 1, "change");
  seen.example = over.src !== source && over.src.startsWith("data:image/webp");
  addEventListener("load", () => { // every picture is there; the browser prints the document after this
    seen.faults = faults;
    seen.requests = performance.getEntriesByType("resource").map(one => one.name);
    seen.drawn = ["under", "over", "psf"].every(id => get(id).naturalWidth > 0);
    seen.width = [innerWidth, document.documentElement.scrollWidth];
    const node = document.createElement("pre");
    node.id = "seen";
    node.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(seen))));
    document.body.append(node);
  });
})();
