from . import second

squares = [n * n for n in range(2000)]
