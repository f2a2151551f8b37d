total = sum(range(3000))
