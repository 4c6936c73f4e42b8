const slides = [...document.querySelectorAll("section")];
let current = 0;
function fit() {  // what is higher than the screen gets smaller
  for (const slide of slides) {
    const inside = slide.firstElementChild, style = getComputedStyle(slide);
    inside.style.transform = "";
    const room = slide.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    if (inside.scrollHeight > room) inside.style.transform = `scale(${room / inside.scrollHeight})`;
  }
}
function nameSlide() {  // in the page's address
  history.replaceState(null, "", "#" + (current + 1));
}
function show(number) {
  current = Math.max(0, Math.min(slides.length - 1, number));
  slides[current].scrollIntoView({ behavior: "instant" });
  nameSlide();
}
function showNamed() {
  show(parseInt(location.hash.slice(1)) - 1 || 0);
}
const steps = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in steps) show(current + (event.shiftKey && event.key === " " ? -1 : steps[event.key]));
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(slides.length - 1);
  else if (event.key !== "f") return;
  else if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
  event.preventDefault();
});
addEventListener("scrollend", () => {
  current = Math.round(scrollY / innerHeight);
  nameSlide();
});
addEventListener("resize", () => {
  const before = current;
  fit();
  show(before);
});
addEventListener("hashchange", showNamed);
addEventListener("load", () => {
  fit();
  showNamed();
});
