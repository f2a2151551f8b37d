/* The one header of Catch2 that tests include: version 3 and version 2 name it differently. */
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

/* Runs the tests that are linked in, as the command line says. 0: all passed. */
int run_catch2(int argc, const char *const *argv);
