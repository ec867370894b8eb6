"""A second per-cycle model, written from docs/microarchitecture.md alone by someone who saw neither the kernels nor
the RTL.

Section 2 of the page, "The tile level", stepped one cycle at a time. Quoted comments are the page's own words.
In each cycle the sequencer decides from the registers as they stood at the start of the cycle; then the port and the
results in flight take their clock edge. One path is not registered: a result with no cycles of drain left is visible
in the very cycle ("visible from cycle t + D on"), which only matters for drains of 0, or of 1 behind an empty tile.
"""

from collections import Counter, deque, namedtuple

CLASSES = ("issue", "fill_drain", "wait_load", "wait_store", "hazard", "switch", "setup")

#: One transfer of the port: its direction, its beats, and how many tiles must be done before it may be granted.
Transfer = namedtuple("Transfer", "kind beats tiles_done")


def has_load(tile):
    """'A tile has a load if it has load_input, load_weight or psum beats > 0' - even if that moves no beat."""
    return tile["load_input"] or tile["load_weight"] or tile["psum_beats"] > 0


def program_order(tiles):
    """The transfers in the order the port runs them ('Program order of the port')."""
    order = []
    next_store = 0  # stores of all tiles before this one have been ordered
    last_bringer = {"load_input": None, "load_weight": None}

    def order_stores(before):
        """Order the stores of tiles < before 'that have not been ordered yet, oldest first'."""
        nonlocal next_store
        for k in range(next_store, before):
            if tiles[k]["store"]:  # 'for a store, its tile is done'
                order.append(Transfer("store", tiles[k]["store_beats"], k + 1))
        next_store = max(next_store, before)

    for j in range(len(tiles) + 2):  # 'For j = 0, 1, 2, ... up to two past the last tile'
        tile = tiles[j] if j < len(tiles) else None
        if tile and tile["fence"]:  # rule 1: 'the stores of tiles before j'
            order_stores(j)
        elif tile and tile["psum_beats"] > 0:  # rule 2: 'the store of tile j-2'; older ones are ordered already
            order_stores(j - 1)
        if tile and has_load(tile):  # rule 3: 'load j', one transfer 'whatever it brings'
            tiles_done = 0
            for flag in last_bringer:  # 'all tiles before the one whose load_input brought the other half's content'
                if tile[flag]:
                    tiles_done = max(tiles_done, last_bringer[flag] or 0)
                    last_bringer[flag] = j
            order.append(Transfer("load", tile["input_beats"] + tile["weight_beats"] + tile["psum_beats"], tiles_done))
        order_stores(j - 1)  # rule 4: 'the store of tile j-2 ... not been ordered yet'
    return order


def arrivals_needed(tiles):
    """For each tile: how many loads must have arrived, and how many stores have left, before its set-up.

    Loads arrive and stores leave in tile order, so that counts suffice.
    """
    needed = []
    loads = stores = 0  # of the tiles so far
    before_visit = [0, 0]  # stores of the tiles before the last visit, and before this one
    for tile in tiles:
        loads += has_load(tile)  # 'its load, or where it has none the latest load before it'
        wanted = 0
        if tile["new_output"]:
            before_visit = [before_visit[1], stores]
            wanted = before_visit[0]  # 'the store of the visit before the last, which held the half it takes'
            if tile["fence"]:  # 'the stores of all visits before it'
                wanted = stores
        needed.append((loads, wanted))
        stores += tile["store"]
    return needed


class Results:
    """Results on their way through the array; a tile is done when its own is visible, tiles in order."""

    def __init__(self):
        self.flying = deque()  # cycles until visible, oldest tile first
        self.done = 0  # tiles done
        self.age = 0  # cycles for which the last of them has been done; 'from cycle 0' at first

    def send(self, cycles):
        """The last result of a tile will be visible in so many cycles."""
        self.flying.append(cycles)
        self.settle()

    def settle(self):
        """'max(done of tile j-1, last issue + D)': only the oldest tile in flight can become done."""
        while self.flying and self.flying[0] <= 0:
            self.age = min(self.age, -self.flying.popleft())
            self.done += 1

    def clock(self):
        """One cycle passes."""
        self.age += 1
        self.flying = deque(cycles - 1 for cycles in self.flying)
        self.settle()


class Port:
    """The one shared port: 'runs them strictly in this order, one at a time'."""

    def __init__(self, order, latency, turnaround):
        self.order, self.latency, self.turnaround = order, latency, turnaround
        self.granted = 0  # transfers granted; the next one is order[granted]
        self.beats_left = 0  # of the transfer that runs; 0: idle
        self.direction = "load"  # 'a load before the first'
        self.idle = 0  # 'cycles without grant or beat' since the last transfer
        self.on_the_way = []  # for each load that has ended: cycles until it has arrived
        self.ended = self.arrived_loads = self.left_stores = 0
        self.symbol = " "  # what the diagrams show for the cycle just clocked

    def may_grant(self, tiles_done):
        """Idle: whether 'all of this holds' for the next transfer of the order."""
        if self.granted == len(self.order):
            return False
        transfer = self.order[self.granted]
        turned = transfer.kind == self.direction or self.idle >= self.turnaround
        return tiles_done >= transfer.tiles_done and turned

    def clock(self, tiles_done, refuses):
        """One cycle: a grant, a beat, a refused beat or nothing."""
        self.symbol = "." if self.on_the_way else " "
        self.on_the_way = [cycles - 1 for cycles in self.on_the_way]
        if self.beats_left:  # 'beats move from t + 1 on, one a cycle, except ... the memory refuses'
            self.symbol = "-" if refuses else self.direction[0].upper()
            if not refuses:
                self.beats_left -= 1
                if not self.beats_left:
                    self.end_transfer()
        elif self.may_grant(tiles_done):  # 'The grant takes cycle t'; no beat moves, so nothing can be refused
            self.symbol = "g"
            self.direction, self.beats_left, _ = self.order[self.granted]
            self.granted += 1
            self.idle = 0
            if not self.beats_left:  # 'A transfer with no beats ends in the cycle of its grant'
                self.end_transfer()
        else:
            self.idle += 1
        self.arrived_loads += sum(cycles <= 0 for cycles in self.on_the_way)
        self.on_the_way = [cycles for cycles in self.on_the_way if cycles > 0]

    def end_transfer(self):
        """A store 'left with its last beat', a load arrives 'latency cycles after'; 'the port is free in between'."""
        self.ended += 1
        if self.direction == "store":
            self.left_stores += 1
        else:
            self.on_the_way.append(self.latency)


class Sequencer:
    """'Works on one tile at a time': waiting, set-up, issue."""

    def __init__(self, tiles, setup, reconfigure, port, results):
        self.tiles, self.setup, self.reconfigure = tiles, setup, reconfigure
        self.port, self.results = port, results
        self.needed = arrivals_needed(tiles)
        self.tile = 0
        self.phase, self.left = "waiting", 0  # cycles left of a set-up or an issue

    def blocked(self):
        """The class of a waiting cycle: 'the first of these that does not hold yet, in this order'."""
        tile = self.tiles[self.tile]
        loads, stores = self.needed[self.tile]
        before_done = self.results.done >= self.tile  # tile j-1 is done
        if self.port.arrived_loads < loads:
            return "wait_load"
        if tile["new_output"] and self.port.left_stores < stores:
            return "wait_store"
        if not tile["new_output"] and not before_done:
            return "hazard"
        if tile["switch"] and not (before_done and self.results.age >= self.reconfigure):
            return "switch"  # 'for tile j-1 to be done for at least reconfigure cycles'
        return None

    def hand_on(self, drain):
        """To the next tile; the result is visible in `drain` cycles from this one."""
        self.tile, self.phase = self.tile + 1, "waiting"
        self.results.send(drain)

    def cycle(self):
        """Do one cycle; returns its class, or None where the program has ended before it."""
        while self.phase == "waiting":
            if self.tile == len(self.tiles):
                if self.results.done < self.tile:  # 'fill_drain until all tiles are done'
                    return "fill_drain"  # 'then wait_store until the last transfer has ended'
                return "wait_store" if self.port.ended < len(self.port.order) else None
            if reason := self.blocked():
                return reason
            tile = self.tiles[self.tile]
            if self.setup:  # 'the tile's set-up begins in this very cycle'
                self.phase, self.left = "setup", self.setup
            elif tile["issue"]:  # 'with setup 0: its issue'
                self.phase, self.left = "issue", tile["issue"]
            else:  # 'with neither, the next tile's waiting': the cycle before was the last issue
                self.hand_on(tile["drain"] - 1)
        done_now = self.phase
        tile = self.tiles[self.tile]
        self.left -= 1
        if not self.left:
            if self.phase == "setup" and tile["issue"]:
                self.phase, self.left = "issue", tile["issue"]
            else:  # the last issue, or a last set-up cycle that counts as one
                self.hand_on(tile["drain"])  # 'The next tile's waiting begins in the cycle after'
        return done_now


def simulate(tiles, latency, turnaround, setup, reconfigure, refused=()):
    """Yields (log entry, what the diagrams show of the port) for each cycle of the program."""
    if refused and all(refused):
        raise ValueError("a memory that refuses every beat never ends a transfer")
    results = Results()
    port = Port(program_order(tiles), latency, turnaround)
    sequencer = Sequencer(tiles, setup, reconfigure, port, results)
    cycle = 0
    while True:
        state = (sequencer.tile, port.beats_left > 0, port.ended, results.done)
        name = sequencer.cycle()
        if name is None:  # 'the first cycle in which all that is over; it is not counted'
            return
        port.clock(results.done, bool(refused) and bool(refused[cycle % len(refused)]))
        results.clock()
        yield (name, *state), port.symbol
        cycle += 1


def run(tiles, latency, turnaround, setup, reconfigure, refused=()):
    """Cycles of a tile program, one at a time.

    tiles: list of dicts with keys input_beats, weight_beats, psum_beats, store_beats, issue, drain (ints) and
    load_input, load_weight, new_output, store, switch, fence (bools).
    refused: pattern of memory refusals, repeated: in cycle t the memory refuses a beat where
    refused[t % len(refused)] is true; empty: none.
    Returns (classes, log): classes = {class name: cycles} for issue, fill_drain, wait_load, wait_store, hazard,
    switch, setup; log = one entry a cycle, state at the START of the cycle: (class of the cycle, tile the sequencer
    is at, port busy with a transfer (bool), transfers ended, tiles done).
    """
    log = [entry for entry, _ in simulate(tiles, latency, turnaround, setup, reconfigure, refused)]
    counts = Counter(entry[0] for entry in log)
    return {name: counts[name] for name in CLASSES}, log
