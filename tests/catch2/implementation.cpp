/* Catch2 2 is header-only and wants its implementation compiled once; its Session can be named nowhere else. */
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "catch.hpp"

int run_catch2(int argc, const char *const *argv) {
    return Catch::Session().run(argc, argv);
}
