// The rule form: show the fields of the chosen target, show the effect at once, close when kept.

const preview = () => document.body.dispatchEvent(new CustomEvent("rules:preview"));

function choose(select) {
    const form = select.form;
    form.querySelectorAll(`[data-when="${select.dataset.switches}"]`).forEach((part) => {
        part.hidden = part.dataset.is !== select.value;
    });
}

document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form?.matches("[data-rule-form]")) return;
    if (event.target.matches("[role=combobox]")) return;
    if (event.target.matches("[data-switches]")) choose(event.target);
    const output = form.querySelector("[data-strength]");
    if (output && event.target.name === "strength") output.value = event.target.value;
    preview();
});
document.addEventListener("portal:pick", (event) => {
    if (event.target.closest("[data-rule-form]")) preview();
});

function close() {
    const place = document.getElementById("rule-form-place");
    if (!place) return;
    place.replaceChildren();
    preview();
}
document.addEventListener("click", (event) => {
    if (event.target.closest("[data-rule-cancel]")) close();
});
document.addEventListener("rules:saved", () => document.getElementById("rule-form-place")?.replaceChildren());
document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "rule-form-place") return;
    const form = document.getElementById("rule-form");
    if (!form) return;
    form.querySelector("#rule-form-title").focus();
    form.scrollIntoView({ block: "nearest" });
    preview();
});
