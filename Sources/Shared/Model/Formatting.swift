extension BinaryInteger {
    /// Digits in groups of three: `214,380`.
    package var grouped: String {
        let digits = String(magnitude)
        var out = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { out += "," }
            out.append(digit)
        }
        return self < 0 ? "-\(out)" : out
    }

    /// Bytes for people, binary units: `1.4 MiB`.
    package var bytesText: String {
        var value = Double(self)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return unit == "B" ? "\(Int(value)) B" : "\(value.rounded(to: 1)) \(unit)" }
            value /= 1024
        }
        return "\(value.rounded(to: 1)) TiB"
    }
}

extension Double {
    /// With so many digits after the point, always written out: `0.10`.
    package func rounded(to digits: Int) -> String {
        guard isFinite, abs(self) < 1e15 else { return "\(self)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((abs(self) * scale).rounded())
        let sign = self < 0 && scaled > 0 ? "-" : ""
        let (whole, part) = scaled.quotientAndRemainder(dividingBy: Int64(scale))
        guard digits > 0 else { return "\(sign)\(whole)" }
        let text = String(part)
        return "\(sign)\(whole).\(String(repeating: "0", count: digits - text.count))\(text)"
    }

    /// Seconds for people: `0.42 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
    package var durationText: String {
        // Nodes send such numbers: what no clock shows must not trap on its way to an integer.
        guard isFinite, self < 1e15 else { return "\(self) s" }
        if self < 10 { return "\(rounded(to: 2)) s" }
        let seconds = Int(self.rounded())
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7200 { return "\(seconds / 60) min\(seconds % 60 == 0 ? "" : " \(seconds % 60) s")" }
        return "\(seconds / 3600) h\(seconds % 3600 < 60 ? "" : " \(seconds % 3600 / 60) min")"
    }
}
