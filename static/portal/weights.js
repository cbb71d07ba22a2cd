// Sliders and their numbers are one value; the track is filled up to it; a moved weight is marked.
// Runs in the capture phase, so that htmx (which sends the form) reads values that agree.

function paint(row) {
    const number = row.querySelector("[data-number]");
    const value = Math.min(1, Math.max(0, Number(number.value) || 0));
    row.style.setProperty("--at", value);
    row.classList.toggle("rp-touched", Math.abs(value - Number(row.dataset.live)) > 0.0005);
}

document.addEventListener("input", (event) => {
    const row = event.target.closest(".rp-slider");
    if (!row) return;
    const [range, number] = [row.querySelector("[data-slider]"), row.querySelector("[data-number]")];
    if (event.target === range) number.value = Number(range.value).toFixed(2);
    else range.value = number.value || 0;
    paint(row);
}, true);

document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-weights-live]")) return;
    document.querySelectorAll(".rp-slider").forEach((row) => {
        row.querySelector("[data-number]").value = row.dataset.live;
        row.querySelector("[data-slider]").value = row.dataset.live;
        paint(row);
    });
    document.getElementById("weights-form").dispatchEvent(new Event("input", { bubbles: true }));
});

const paintAll = () => document.querySelectorAll(".rp-slider").forEach(paint);
paintAll();
document.addEventListener("htmx:load", paintAll);
