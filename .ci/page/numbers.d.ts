// What the server puts at the end of report/js/numbers.js, so that the page can import it.
declare const shared: typeof createNumbers;
export { shared as createNumbers };
