"""Have every machine that knows `render` draw frames of a film, and keep them in order in frames/."""

from pathlib import Path

from rpn import Pool

FRAMES = 8
FOLDER = Path("frames")

FOLDER.mkdir(exist_ok=True)
with Pool("http://127.0.0.1:3000") as pool:
    jobs = [{"frame": number, "frames": FRAMES} for number in range(FRAMES)]
    for number, picture in enumerate(pool.map("render", jobs)):
        (FOLDER / f"{number:03}.pgm").write_text(picture)
        print(f"frame {number + 1} of {FRAMES}")
