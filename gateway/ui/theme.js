// Puts the chosen theme on the page before anything is painted; without a choice the system's holds.
try {
  const chosen = localStorage.getItem("rpn.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage here: the system's theme it is.
}
