# Two commands do all the set-up: `make demo` (runtime only) and `make test` (everything).
PYTHON ?= python3
EVENTS := 'name,start_s,end_s\ntogether,3,7\n'
PIP_FLAGS := --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: demo test test-slow test-random check check-js audit format docs pictures notebooks notebook-pages benchmarks clean

demo: .venv/installed
	.venv/bin/python demo/make_clip.py demo/clip.mp4
	printf $(EVENTS) > demo/events.csv
	.venv/bin/emoscope analyze demo/clip.mp4 -o demo/result --annotate --thumbnails clear --events demo/events.csv
	.venv/bin/emoscope report demo/result -o demo/report.html
	@echo "Open demo/report.html in a browser; demo/result/report.html also plays the annotated video. Your own: .venv/bin/emoscope analyze FILE"

# One thread per process: two processes with two threads each on two cores wait for each other most of the time.
# Lines are counted in workers and child processes too; below the floor in pyproject.toml it fails.
test: check
	OMP_NUM_THREADS=1 .venv-dev/bin/python -m pytest -n 2 -m "not slow" --cov --cov-report=term

# Longer tests, about 15 minutes: the ten networks, a study killed twenty times, the notebooks.
test-slow: test-random
	.venv-dev/bin/python -m pytest -m slow

# Tests of properties with examples that nobody has seen yet; `make test` takes the same ones every time.
test-random: .venv-dev/installed
	HYPOTHESIS_PROFILE=random .venv-dev/bin/python -m pytest -n 2 -m "hypothesis and not slow"

check: .venv-dev/installed check-js
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports
	.venv-dev/bin/hadolint Dockerfile
	.venv-dev/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-dev/bin/zizmor --offline --no-progress --quiet .github

# Types of the JavaScript, from its JSDoc comments.
check-js:
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory .node/installed \
	&& .node/node_modules/.bin/tsc --project .ci/tsconfig-report.json \
	&& .node/node_modules/.bin/tsc --project .ci/tsconfig-page.json; \
	else echo "no Node here: types of the JavaScript are NOT checked"; fi

# Fails when a pinned dependency has a known vulnerability; without a connection it only says so.
audit: .venv-dev/installed
	.venv-dev/bin/python .ci/audit.py

format: .venv-dev/installed
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

# The site, in site/; a link that leads nowhere is an error. To write: .venv-dev/bin/mkdocs serve
docs: .venv-dev/installed
	NO_MKDOCS_2_WARNING=1 .venv-dev/bin/python -m mkdocs build --strict

# What is seen first, made anew: the sample report and its picture from the demo's clip (with Chromium), the architecture.
pictures: .venv-dev/installed
	.venv-dev/bin/python demo/make_clip.py demo/clip.mp4
	printf $(EVENTS) > demo/events.csv
	.venv-dev/bin/emoscope analyze demo/clip.mp4 -o demo/sample --smooth 0.5 --thumbnails clear --explain --events demo/events.csv
	.venv-dev/bin/emoscope report demo/sample -o docs/sample-report.html --overwrite
	.venv-dev/bin/python demo/take_picture.py docs/sample-report.html docs/report.png
	.venv-dev/bin/python docs/architecture.py docs/architecture.svg

# An .ipynb beside each notebook's .py; Jupyter with jupytext keeps the two in step.
notebooks: .venv-dev/installed
	.venv-dev/bin/jupytext --sync notebooks/*.py

# Runs the notebooks of the background and writes the site's pages of them, outputs included.
notebook-pages: .venv-dev/installed
	OMP_NUM_THREADS=1 .venv-dev/bin/python docs/notebooks.py notebooks/[a-e]_*.py

# Needs FER2013 (DATA), a video (CLIP) and a picture of five people (PICTURE); each writes its file in results/. benchmarks/accuracy.py collects a study's
# figures and is called after `emoscope study run --final`.
DATA ?= fer2013.npz
CLIP ?= clip.mp4
PICTURE ?= people.jpg
benchmarks: .venv-dev/installed
	.venv-dev/bin/python benchmarks/recognition.py --data $(DATA)
	.venv-dev/bin/python benchmarks/analyze.py $(CLIP) $(PICTURE)
	.venv-dev/bin/python benchmarks/startup.py
	.venv-dev/bin/python benchmarks/training.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install $(PIP_FLAGS) --editable ".[demo]"
	touch $@

.venv-dev/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python -m pip install $(PIP_FLAGS) --editable ".[study,serve,ray,notebooks,docs,demo,dev]"
	touch $@

# The package alone, no lock file: it has no dependencies.
.node/installed: .ci/tsconfig.json
	npm install --prefix .node --no-package-lock --no-save --no-audit --no-fund --silent typescript@5.9.3
	touch $@

clean:
	rm -rf .node .venv .venv-dev site notebooks/*.ipynb notebooks/work demo/clip.mp4 demo/events.csv demo/result demo/sample demo/report.html
