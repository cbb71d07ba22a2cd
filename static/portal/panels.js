// Small things of the settings, models and data pages: copy a secret, open a dialog with errors, focus news.

document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const label = button.querySelector("span:last-child");
    try {
        await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
        // Without a secure origin there is no clipboard: select it, so that Ctrl+C does it.
        getSelection().selectAllChildren(source);
        return;
    }
    const before = label.textContent;
    label.textContent = button.dataset.copied;
    document.dispatchEvent(new CustomEvent("portal:announce", { detail: button.dataset.copied }));
    setTimeout(() => { label.textContent = before; }, 2500);
});

// A form that came back with errors sits in a dialog: open it where the reader left it.
document.querySelectorAll("dialog[data-open-now]").forEach((dialog) => dialog.showModal());
document.querySelector("[data-focus]")?.focus({ preventScroll: false });

// Tabs that do not fit scroll: the page's own must be among those in sight.
document.querySelectorAll(".rp-tabs > [aria-current=page]").forEach((tab) => {
    const bar = tab.parentElement;
    bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
});

// A file field that takes what is dropped on it and says what was chosen.
document.querySelectorAll("[data-file]").forEach((zone) => {
    const field = zone.querySelector("input[type=file]");
    const name = zone.querySelector("[data-file-name]");
    field.hasChangeListener = true; // Unfold's own listener looks for a text field that only its widget has
    const tell = () => { if (field.files.length) name.textContent = field.files[0].name; };
    field.addEventListener("change", tell);
    for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("is-over"); });
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("is-over"));
    zone.addEventListener("drop", (event) => {
        event.preventDefault();
        if (!event.dataTransfer.files.length) return;
        field.files = event.dataTransfer.files;
        tell();
    });
});

// A slider says where it stands.
document.addEventListener("input", (event) => {
    const told = event.target.matches(".rp-mix input[type=range]") && event.target.parentElement.querySelector("output");
    if (told) told.value = event.target.value;
});
