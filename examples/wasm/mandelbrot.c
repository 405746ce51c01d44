/* Draws the Mandelbrot set as text: `mandelbrot COLUMNS ROWS LIMIT`.
 *
 * An ordinary C program: arguments in, text out, how far it is on standard error. Built for WASI it runs
 * on any device of a pool, whatever its system or processor, and gives the same bits everywhere:
 *
 *     pip install ziglang
 *     python -m ziglang cc -target wasm32-wasi -Os -s -Wl,--initial-memory=1048576,-z,stack-size=65536 \
 *         -o mandelbrot.wasm mandelbrot.c
 */
#include <stdio.h>
#include <stdlib.h>

static int steps_at(double x, double y, int limit) {
    double a = 0, b = 0;
    int n = 0;
    for (; n < limit && a * a + b * b <= 4; n++) {
        double next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
    }
    return n;
}

int main(int argc, char **argv) {
    int columns = argc > 1 ? atoi(argv[1]) : 64;
    int rows = argc > 2 ? atoi(argv[2]) : 24;
    int limit = argc > 3 ? atoi(argv[3]) : 1000;
    if (columns < 1 || rows < 1 || limit < 1) {
        fprintf(stderr, "usage: mandelbrot COLUMNS ROWS LIMIT\n");
        return 2;
    }
    for (int row = 0; row < rows; row++) {
        double y = 2.4 * row / rows - 1.2;
        for (int column = 0; column < columns; column++) {
            int steps = steps_at(3.2 * column / columns - 2.2, y, limit);
            putchar(steps == limit ? '#' : " .:-=+*%"[steps % 8]);
        }
        putchar('\n');
        fprintf(stderr, "RPN_PROGRESS %.3f\n", (row + 1.0) / rows);
    }
    return 0;
}
