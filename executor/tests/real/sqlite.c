// Runs the statements of /in/script.sql on the database /out/data.db and prints the rows.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int row(void *count, int columns, char **values, char **names) {
    (void)names;
    for (int column = 0; column < columns; column++) printf("%s%s", column ? "|" : "", values[column] ? values[column] : "NULL");
    printf("\n");
    ++*(int *)count;
    return 0;
}

int main(void) {
    FILE *file = fopen("/in/script.sql", "rb");
    if (!file) return 2;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *script = calloc(length + 1, 1), *message = NULL;
    if (fread(script, 1, length, file) != (size_t)length) return 3;
    sqlite3 *db;
    int rows = 0, result = sqlite3_open("/out/data.db", &db);
    if (result == SQLITE_OK) result = sqlite3_exec(db, script, row, &rows, &message);
    printf("%d rows, result %d: %s\n", rows, result, message ? message : sqlite3_errmsg(db));
    sqlite3_close(db);
    return result;
}
