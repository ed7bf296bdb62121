"""Technologies: what things cost in a process, an FPGA or a scaled node, from CSV files."""

from flipcore.hwmodel.technology.load import check_sources, load_technology, technology_names
from flipcore.hwmodel.technology.rows import COLUMNS, format_rows
from flipcore.hwmodel.technology.types import (
    LOGIC_COMPONENTS,
    REGISTER_FILE,
    SRAM_COMPONENTS,
    Band,
    Coefficient,
    Ports,
    Source,
    SramRange,
    Technology,
    term_value,
)

__all__ = [
    "COLUMNS",
    "LOGIC_COMPONENTS",
    "REGISTER_FILE",
    "SRAM_COMPONENTS",
    "Band",
    "Coefficient",
    "Ports",
    "Source",
    "SramRange",
    "Technology",
    "check_sources",
    "format_rows",
    "load_technology",
    "technology_names",
    "term_value",
]
