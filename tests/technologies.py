"""A made-up technology whose prices can be worked out by hand, written as a user would write one."""

from pathlib import Path

HEADER = "component,action,term,value,low,high,unit,corner,source"
SOURCES = """
made-up:
  title: Made-up prices
  authors: nobody
  year: 2000
  where: nowhere
  url: https://example.org
  note: ""
"""
# Memories of flip-flops: their prices follow from words and bits alone.
ROWS = (
    "technology,node,1,100,100,100,nm",
    "technology,voltage,1,1,1,1,V",
    "register_file,read,bits,0.5,0.25,1,pJ",
    "register_file,write,1,2,1,4,pJ",
    "register_file,leakage,words*bits,1,1,1,nW",
    "register_file,area,words*bits,3,2,5,um2",
    "clock,cycles,lanes,0.25,0.25,0.5,pJ",
    "clock,leakage,1,10,10,10,nW",
    "integrate,event_list_reads,lanes,0.5,0.5,0.5,pJ",
    "integrate,area,lanes,10,10,10,um2",
    "flip_unit,words_updated,1,3,2,4,pJ",
    "flip_unit,words_updated,momentum_bits,1,1,1,pJ",
    "flip_unit,area,1,100,50,200,um2",
    "decay,words_decayed,1,1,1,1,pJ",
    "decay,area,1,1000,1000,1000,um2",
    "decay,cycles,1,64,64,64,pJ",
    "io,events,1,5,4,6,pJ",
    "io,labels,1,7,7,7,pJ",
    "io,predictions,1,11,11,11,pJ",
)


def write_technology(folder: Path, *more: str, without: str = "") -> Path:
    """Write the technology, with more rows, and without those that start with a text."""
    rows = [row for row in ROWS if not without or not row.startswith(without)]
    path = folder / "made-up.csv"
    lines = ["# Made-up prices", HEADER, *(f"{row},typical,made-up" for row in (*rows, *more))]
    path.write_text("\n".join(lines) + "\n")
    (folder / "sources.yaml").write_text(SOURCES)
    return path
