/* All that the core looks at in a libpython before it opens a backend. VERSION is what it claims to be. */
const char *Py_GetVersion(void);
int Py_IsInitialized(void);

const char *Py_GetVersion(void) {
    return VERSION;
}

int Py_IsInitialized(void) {
    return 0;
}
