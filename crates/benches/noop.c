// Ends at once: what is left of a job is the overhead.
int main(void) { return 0; }
