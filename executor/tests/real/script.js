// A bit of everything that JavaScript has: objects, closures, exceptions, regular expressions, big numbers, floats, files.
import * as std from "qjs:std";
const primes = [...(function* () {
  for (let n = 2; ; n++) if (![...Array(Math.floor(Math.sqrt(n)) + 1).keys()].slice(2).some((d) => n % d === 0)) yield n;
})().take(500)];
const words = std.loadFile("/in/data").match(/\b[a-z_]{4,}\b/g);
const counted = new Map();
for (const word of words) counted.set(word, (counted.get(word) ?? 0) + 1);
const most = [...counted].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 20);
let factorial = 1n;
for (let n = 1n; n <= 300n; n++) factorial *= n;
let caught = "";
try { null.x; } catch (error) { caught = `${error.name}: ${error.message}`; }
const depth = (n) => (n === 0 ? 0 : 1 + depth(n - 1));
const floats = Float64Array.from({ length: 1000 }, (_, n) => Math.sin(n) * Math.exp(n / 100) / (n + 1));
const result = {
  primes: primes.reduce((a, b) => a + b), most, factorial: factorial.toString(), caught, deep: depth(300),
  floats: floats.reduce((a, b) => a + b), nan: [0 / 0, -0, 1 / 3].map(String), date: new Date(0).toISOString(),
  text: [..."grüße 🦀"].reverse().join(""), sorted: ["b", "ä", "a"].sort(), json: JSON.parse('{"a":[1,2,{"b":null}]}'),
};
const file = std.open("/out/result.json", "w");
file.puts(JSON.stringify(result, null, 1));
file.close();
console.log(Object.keys(result).join(" "), result.primes, result.floats);
