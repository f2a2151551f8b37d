# Names for what CMake's presets and tools/ do; see there.

.PHONY: demo test bench soak shell asan tsan fuzz lint setup clean

demo: setup
	@tools/demo

test:
	@tools/setup test
	@tools/test

bench: setup
	@tools/bench
	@tools/bench modes

soak: setup
	@tools/bench soak

shell: setup
	@tools/shell

asan: setup
	@tools/test asan

tsan: setup
	@tools/test tsan

fuzz:
	@tools/setup fuzz
	@tools/fuzz 60

lint:
	@tools/setup lint
	@tools/build dev
	@tools/lint

setup:
	@tools/setup

clean:
	@cmake -E rm -rf build _build priv ebin
