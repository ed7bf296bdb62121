"""Sender of events and taker of predictions, each with its own stall pattern."""

from collections.abc import Sequence

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge

from flipcore.rtl.bench import streams
from flipcore.rtl.bench.chip_samples import STEP_END, Transfer

TAKEN_BACK = 0.7  # after this share of the marks, something is offered and taken back


class EventSource:
    """Sends the transfers of samples."""

    def __init__(self, dut: HierarchyObject, rng: np.random.Generator) -> None:
        """Take over the inputs of the event stream; nothing is offered yet."""
        self._rng = rng
        clock = streams.logic(dut, "clk_i")
        self._edge = RisingEdge(clock)
        self._falling = FallingEdge(clock)
        self._stream = streams.Stream.into(dut, "event", ("kind", "data"))
        self._is_ready = RisingEdge(self._stream.ready)
        self.data_bits = len(self._stream.payload["data"])
        self.paused_cycles = 0
        self.waits = 0  # transfers that were offered while the chip was busy
        self.offers_taken_back = 0
        self.stop()

    def stop(self) -> None:
        """Offer nothing: without valid, the payload may be anything."""
        self._stream.valid.value = 0
        for port in self._stream.payload.values():
            port.value = int(self._rng.integers(1 << len(port)))

    async def send(self, transfers: Sequence[Transfer], stalls: streams.StallPattern) -> None:
        """Send all transfers in order, from the next cycle on; returns after the last one, with valid low."""
        stream = self._stream
        await self._edge  # whoever watches the chip must not miss a step that ends at once
        for kind, data in transfers:
            while next(stalls):
                self.stop()
                self.paused_cycles += 1
                await self._edge
            stream.payload["kind"].value = kind
            stream.payload["data"].value = data
            stream.valid.value = 1
            await self._edge
            self.waits += stream.ready.value != 1
            while stream.ready.value != 1:
                await self._is_ready  # not every cycle: the chip is busy most of the time
                await self._edge
            if kind == STEP_END and self._rng.random() < TAKEN_BACK:
                await self._take_back()
        self.stop()

    async def _take_back(self) -> None:
        """Offer anything for a cycle while the chip computes, and take it back: it must leave no mark."""
        self.stop()
        self._stream.valid.value = 1
        await self._falling
        if self._stream.ready.value != 1:
            await self._edge
            self.offers_taken_back += 1
        self.stop()


class PredictionSink:
    """Takes predictions and checks that what is offered stays until its transfer."""

    def __init__(self, dut: HierarchyObject) -> None:
        """Take over the ready of the prediction stream."""
        self._edge = RisingEdge(streams.logic(dut, "clk_i"))
        self._valid = streams.logic(dut, "prediction_valid_o")
        self._ready = streams.logic(dut, "prediction_ready_i")
        self._prediction = streams.bits(dut, "prediction_o")
        self._is_valid = RisingEdge(self._valid)
        self.waited_cycles = 0
        self.stop()

    def stop(self) -> None:
        """Take nothing."""
        self._ready.value = 0

    def offers(self) -> bool:
        """Tell whether a prediction is offered."""
        return bool(self._valid.value == 1)

    async def take(self, stalls: streams.StallPattern) -> str:
        """Take one prediction, with ready low at the end; returns its bits as text."""
        is_ready = not next(stalls)
        self._ready.value = is_ready
        if self._valid.value != 1:
            await self._is_valid
        offered: str | None = None
        while True:
            await self._edge
            if self._valid.value != 1:
                assert offered is None, "prediction_valid_o fell before the transfer"
                continue
            prediction = str(self._prediction.value)
            assert offered in (None, prediction), "prediction_o changed before the transfer"
            if is_ready:
                break
            offered = prediction
            self.waited_cycles += 1
            is_ready = not next(stalls)
            self._ready.value = is_ready
        self.stop()
        return prediction
