// A tile as the sequencer reads it: addresses, extents and widths; no field is a count of cycles.
// tests/rtl_chain.py writes these fields in this order.
localparam FIELDS = 52;
localparam WIDTH = FIELDS * 32;
localparam FLAGS = 0;
// Loop extents: groups, batch, rows, columns of positions, outputs, channels, kernel rows and columns.
localparam G = 1, B = 2, R = 3, C = 4, O = 5, CH = 6, KR = 7, KC = 8;
// Input row of position p and tap k: p * ROW_STRIDE + k * ROW_STEP + ROW_FIRST, real inside [0, IN_ROWS).
localparam ROW_STRIDE = 9, COL_STRIDE = 10, ROW_FIRST = 11, ROW_STEP = 12, COL_FIRST = 13, COL_STEP = 14;
localparam IN_ROWS = 15, IN_COLS = 16;
// Input rows and columns held: a box from BOX_ROW, of which only those in the masks are moved.
localparam BOX_ROW = 17, BOX_ROWS = 18, BOX_COL = 19, BOX_COLS = 20, ROW_MASK = 21, COL_MASK = 22;
// Width mode of a slice (0, 1, 2: 2, 4, 8 bits) and slices of each operand; signs.
localparam X_MODE = 23, Y_MODE = 24, X_SLICES = 25, Y_SLICES = 26, X_SIGNED = 27, Y_SIGNED = 28;
// Bits a word takes in memory.
localparam X_BITS = 29, Y_BITS = 30, PSUM_BITS = 31, STORE_BITS = 32;
// Addresses of the first word in memory and the strides of its five loops.
localparam X_BASE = 33, X_STRIDES = 34;  // groups, batch, rows, columns, channels
localparam Y_BASE = 39, Y_STRIDES = 40;  // filter: groups, outputs, channels, taps; map: as outputs of a map
localparam Z_BASE = 45, Z_STRIDES = 46;  // map: groups, batch, rows, columns, outputs; filter: as a filter
localparam ISSUE_EMPTY = 51;  // 1 if no tap meets this tile's positions: it issues nothing and stores zeros

localparam F_LOAD_X = 0, F_LOAD_Y = 1, F_LOAD_Z = 2, F_NEW = 3, F_STORE = 4, F_SWITCH = 5;
localparam F_FILTER = 6, F_SWAPPED = 7, F_ACCUMULATE = 8, F_HALF_X = 9, F_HALF_Y = 10, F_HALF_Z = 11;
localparam F_FENCE = 12;  // reads what the tiles before it wrote

// Numbers of the cycle classes.
localparam K_ISSUE = 0, K_FILL_DRAIN = 1, K_WAIT_LOAD = 2, K_WAIT_STORE = 3, K_HAZARD = 4, K_SWITCH = 5, K_SETUP = 6;
