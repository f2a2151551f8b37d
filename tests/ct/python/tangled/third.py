try:
    import tangled.missing
except ImportError:
    pass
print("third is imported")
from tangled import first
