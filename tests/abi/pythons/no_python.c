/* A library that is no libpython. */
int some_function(void);

int some_function(void) {
    return 0;
}
