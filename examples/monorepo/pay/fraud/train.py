"""Learn from yesterday what is too much."""

from statistics import mean, stdev

YESTERDAY = [1050, 400, 2500, 800, 650]

if __name__ == "__main__":
    print("threshold", round(mean(YESTERDAY) + 2 * stdev(YESTERDAY)))
