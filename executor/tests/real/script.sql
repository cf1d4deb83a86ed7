PRAGMA journal_mode = DELETE;
CREATE TABLE part(id INTEGER PRIMARY KEY, kind TEXT, weight REAL, parent INTEGER);
CREATE INDEX by_kind ON part(kind, weight);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO part SELECT i, printf('kind-%03d', i * 7919 % 101), sqrt(i) * 1.25, i / 3 FROM n;
COMMIT;
SELECT kind, count(*), round(avg(weight), 6), max(weight) FROM part GROUP BY kind ORDER BY 3 DESC LIMIT 7;
WITH RECURSIVE up(id, depth) AS (SELECT 19999, 0 UNION ALL SELECT part.parent, depth + 1 FROM part JOIN up ON part.id = up.id WHERE part.parent > 0)
  SELECT group_concat(id, ' ') FROM up;
UPDATE part SET weight = -weight WHERE id % 3 = 0;
DELETE FROM part WHERE kind LIKE '%9';
BEGIN;
DELETE FROM part;
ROLLBACK;
SELECT count(*), sum(weight), total(weight), min(kind), avg(id) FROM part;
CREATE VIRTUAL TABLE text USING fts5(line);
INSERT INTO text VALUES ('the quick brown fox'), ('jumps over'), ('the lazy dog');
SELECT rowid, highlight(text, 0, '[', ']') FROM text WHERE text MATCH 'the' ORDER BY rank, rowid;
SELECT json_group_array(json_object('id', id, 'weight', weight)) FROM (SELECT * FROM part ORDER BY weight LIMIT 3);
SELECT date(86400 * 365, 'unixepoch'), hex(sin(1.0)), 1e300 * 1e10, 0.1 + 0.2;
VACUUM;
PRAGMA integrity_check;
